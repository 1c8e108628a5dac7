"""Callbacks that plainly bring balances are judged together, and what is odd by itself."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from mpesa_balance import queries
from mpesa_balance.callback_urls import TIMEOUT
from tests.conftest import open_query
from tests.integration.answers import OTHER_BALANCE, begin, delivery, failure, rows, success
from tests.integration.at_once import at_once
from tests.logged import events
from worker import callbacks
from worker.house import House


def begun(house: House, count: int) -> list[UUID]:
    return [begin(house, open_query(house.database)) for _ in range(count)]


def became(house: House) -> dict[UUID, tuple[str, str, int]]:
    """By attempt: the state of its query, what became of its callback, and how many balances there are."""
    found = rows(
        house,
        """
        SELECT c.attempt_id, q.state, c.disposition,
               (SELECT count(*) FROM balances b WHERE b.query_id = q.id) AS balances
        FROM callbacks c LEFT JOIN submission_attempts a ON a.id = c.attempt_id
        LEFT JOIN balance_queries q ON q.id = a.query_id
        """,
    )
    return {one["attempt_id"]: (one["state"], one["disposition"], one["balances"]) for one in found}


def test_a_batch_completes_its_queries_each_with_its_own_balance_and_history(house: House) -> None:
    attempts = begun(house, 20)
    bodies = [success(f"Working Account|KES|{number}.00|{number}.00|0.00|0.00") for number in range(20)]
    callbacks.record(house, [delivery(house, *one) for one in zip(attempts, bodies, strict=True)])
    assert became(house) == dict.fromkeys(attempts, ("completed", "applied", 1))
    stored = rows(
        house,
        """
        SELECT e.attempt_id, b.callback_id = c.id AND e.callback_id = c.id AS fits
        FROM query_events e JOIN callbacks c USING (attempt_id) JOIN balances b USING (query_id)
        WHERE e.state = 'completed' AND e.cause = 'result'
        """,
    )
    assert {one["attempt_id"] for one in stored} == set(attempts)
    assert all(one["fits"] for one in stored)


def test_what_is_odd_in_a_batch_is_judged_by_itself(house: House) -> None:
    good, failed, overdue, odd, unreadable = begun(house, 5)
    unknown = uuid4()
    messages = [
        delivery(house, good, success()),
        delivery(house, failed, failure("15")),
        delivery(house, overdue, b"{}", TIMEOUT),
        delivery(house, odd, success(ResultType=1)),
        delivery(house, unreadable, b'{"Result": '),
        delivery(house, unknown, success()),
    ]
    callbacks.record(house, messages)
    assert became(house) == {
        good: ("completed", "applied", 1),
        failed: ("failed", "applied", 0),
        overdue: ("timed_out", "applied", 0),
        odd: ("pending", "noted", 0),
        unreadable: ("pending", "unreadable", 0),
        unknown: (None, "unmatched", 0),
    }


def test_of_two_answers_in_a_batch_the_first_counts_and_the_others_of_the_batch_are_not_held_up(
    house: House,
) -> None:
    twice, once = begun(house, 2)
    messages = [
        delivery(house, twice, success()),
        delivery(house, once, success()),
        delivery(house, twice, success(OTHER_BALANCE)),
    ]
    callbacks.record(house, messages)
    found = rows(house, "SELECT attempt_id, disposition FROM callbacks ORDER BY received_at")
    assert [(one["attempt_id"], one["disposition"]) for one in found] == [
        (twice, "applied"),
        (once, "applied"),
        (twice, "conflict"),
    ]


def test_the_same_bytes_twice_in_a_batch_are_one_callback_that_came_twice(house: House) -> None:
    (attempt_id,) = begun(house, 1)
    message = delivery(house, attempt_id, success())
    flagged = message | {"flagged": True}
    callbacks.record(house, [message, flagged])
    assert rows(house, "SELECT deliveries, flagged, disposition FROM callbacks") == [
        {"deliveries": 2, "flagged": True, "disposition": "applied"}
    ]


def test_a_batch_that_postgres_does_not_take_is_judged_one_by_one(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = begun(house, 3)
    with house.database.transaction() as connection:
        # Only one of them brings so much.
        connection.execute("ALTER TABLE balances ADD CONSTRAINT small CHECK (length(document) < 300)")
    large = "&".join(f"Account {number}|KES|1.00|1.00|0.00|0.00" for number in range(9))
    bodies = [success(), success(large), success()]
    messages: list[dict[str, Any]] = [
        delivery(house, attempt_id, body) for attempt_id, body in zip(attempts, bodies, strict=True)
    ]
    with pytest.raises(callbacks.DATABASE_FAULTS):
        callbacks.record(house, messages)
    (told,) = events(caplog, "callbacks_judged_alone")
    assert told["reason"] == "CheckViolation"
    assert became(house)[attempts[0]] == ("completed", "applied", 1)
    assert became(house)[attempts[1]] == ("pending", None, 0)


def test_a_result_that_comes_late_is_completed_with_its_batch_and_marked_late(house: House) -> None:
    (attempt_id,) = begun(house, 1)
    with house.database.transaction() as connection:
        connection.execute("UPDATE balance_queries SET deadline_at = now()")
    with house.database.transaction() as connection:
        assert queries.time_out_overdue(connection)
    callbacks.record(house, [delivery(house, attempt_id, success())])
    assert rows(house, "SELECT state, late FROM balance_queries") == [{"state": "completed", "late": True}]


def test_batches_that_share_queries_wait_for_each_other_and_not_in_a_circle(house: House) -> None:
    attempts = begun(house, 30)
    first = [delivery(house, one, success()) for one in attempts]
    second = [delivery(house, one, success(OTHER_BALANCE)) for one in reversed(attempts)]
    at_once(lambda batch: callbacks.record(house, batch), [first, second])
    found = rows(house, "SELECT disposition, count(*) AS n FROM callbacks GROUP BY disposition")
    assert {one["disposition"]: one["n"] for one in found} == {"applied": 30, "conflict": 30}
