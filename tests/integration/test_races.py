"""Races, ordered by locks: one side waits in Postgres, where we can see it, until the other is done."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from mpesa_balance import balance_requests, queries, shortcodes
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.database import Database
from mpesa_balance.queries import Ending
from mpesa_balance.settings import DatabaseSettings
from mpesa_balance.states import Moved
from tests.conftest import SHORTCODE
from tests.integration.answers import (
    OTHER_BALANCE,
    begin,
    failure,
    first_in_line,
    record,
    row,
    rows,
    state,
    success,
)
from tests.integration.at_once import at_once
from tests.waiting import eventually
from worker.house import House
from worker.submission import submit


@pytest.fixture
def other(house: House, database_url: str) -> Database:
    """The database as another process sees it."""
    return Database(DatabaseSettings(database_url=database_url, sealer=house.database.sealer))


def waits_for_a_lock(house: House) -> bool:
    return bool(rows(house, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))


def second_waits(house: House, second: Callable[[], object], first: Callable[[], object]) -> object:
    """Run `second` until it waits for a lock of an open transaction, then `first`, which commits it."""
    with ThreadPoolExecutor(1) as thread:
        running: Future[object] = thread.submit(second)
        eventually(lambda: waits_for_a_lock(house) or running.done())
        assert not running.done(), "the second did not wait for the first"
        first()
        return running.result(timeout=5)


def test_a_timeout_that_falls_while_a_result_is_being_written_changes_nothing(
    house: House, other: Database, query_id: UUID
) -> None:
    def time_out() -> Moved:
        with other.transaction() as connection:
            return queries.time_out(connection, query_id, Ending(cause="queue timeout"))

    writing = house.database.transaction()
    connection = writing.__enter__()
    assert queries.complete(connection, query_id, Ending(cause="result")) is Moved.NOW
    assert second_waits(house, time_out, lambda: writing.__exit__(None, None, None)) is Moved.NOT
    found = row(house, "SELECT state, late FROM balance_queries WHERE id = %s", query_id)
    assert found == {"state": "completed", "late": False}
    other.close()


def test_a_deadline_that_falls_while_a_result_is_being_written_is_passed_over(
    house: House, other: Database, query_id: UUID
) -> None:
    """The sweeper does not wait for whoever writes: it looks again at its next tick."""
    rows_of = "UPDATE balance_queries SET deadline_at = now() - interval '1 s' WHERE id = %s RETURNING id"
    assert rows(house, rows_of, query_id)
    with house.database.transaction() as connection:
        queries.complete(connection, query_id, Ending(cause="result"))
        with other.transaction() as sweeping:
            assert queries.time_out_overdue(sweeping) == []
    with other.transaction() as sweeping:
        assert queries.time_out_overdue(sweeping) == []
    assert state(house) == "completed"
    other.close()


def test_a_result_that_comes_while_the_timeout_is_being_written_is_applied_late(
    house: House, query_id: UUID
) -> None:
    attempt_id = begin(house, query_id)
    writing = house.database.transaction()
    connection = writing.__enter__()
    assert queries.time_out(connection, query_id, Ending(cause="queue timeout")) is Moved.NOW
    second_waits(
        house,
        lambda: record(house, attempt_id, success()),
        lambda: writing.__exit__(None, None, None),
    )
    found = row(house, "SELECT state, late FROM balance_queries WHERE id = %s", query_id)
    assert found == {"state": "completed", "late": True}


def test_of_two_different_results_at_once_one_wins_and_the_other_is_a_conflict(
    house: House, query_id: UUID
) -> None:
    attempt_id = begin(house, query_id)
    balances = (OTHER_BALANCE, "Working Account|KES|2.00|2.00|0.00|0.00")
    at_once(lambda balance: record(house, attempt_id, success(balance)), balances)
    assert [
        found["disposition"] for found in rows(house, "SELECT disposition FROM callbacks ORDER BY 1")
    ] == [
        "applied",
        "conflict",
    ]
    assert len(rows(house, "SELECT FROM balances")) == 1


def test_one_callback_delivered_many_times_at_once_is_one_row_and_one_balance(
    house: House, query_id: UUID
) -> None:
    attempt_id = begin(house, query_id)
    at_once(lambda _: record(house, attempt_id, success()), range(4))
    assert row(house, "SELECT disposition, deliveries FROM callbacks") == {
        "disposition": "applied",
        "deliveries": 4,
    }
    assert len(rows(house, "SELECT FROM balances")) == 1


def test_of_many_workers_that_are_rung_for_one_query_one_submits_it(house: House, query_id: UUID) -> None:
    begun = at_once(lambda _: first_in_line(house, query_id) is not None, range(4))
    assert sorted(begun) == [False, False, False, True]
    assert len(rows(house, "SELECT FROM submission_attempts")) == 1


def test_a_callback_and_the_next_attempt_never_wait_for_each_other_in_a_circle(
    house: House, other: Database, query_id: UUID
) -> None:
    """Whoever has the query's lock may write to its attempts: nobody has locked one before it."""
    attempt_id = begin(house, query_id)
    holding = other.transaction()
    connection = holding.__enter__()
    queries.lock(connection, [query_id])

    def next_attempt_gives_up_the_first() -> None:
        statement = "UPDATE submission_attempts SET state = 'unknown' WHERE id = %s"
        connection.execute(statement, (attempt_id,))
        holding.__exit__(None, None, None)

    second_waits(house, lambda: record(house, attempt_id, success()), next_attempt_gives_up_the_first)
    assert state(house) == "completed"
    assert row(house, "SELECT state FROM submission_attempts")["state"] == "acknowledged"
    other.close()


def test_an_answer_that_is_recorded_waits_for_the_query_before_it_touches_the_attempt(
    house: House, other: Database, query_id: UUID
) -> None:
    holding = other.transaction()
    connection = holding.__enter__()

    def begun_and_locked() -> None:
        statement = "UPDATE submission_attempts SET description = 'still writable' RETURNING id"
        assert connection.execute(statement).fetchone()
        holding.__exit__(None, None, None)

    ask = house.daraja.ask

    def lock_meanwhile(*arguments: object) -> object:
        queries.lock(connection, [query_id])
        return ask(*arguments)  # type: ignore[arg-type]

    daraja = type("Daraja", (), {"ask": staticmethod(lock_meanwhile), "mint": house.daraja.mint})()
    second_waits(house, lambda: submit(replace(house, daraja=daraja), query_id), begun_and_locked)
    assert state(house) == "acknowledged"
    other.close()


def test_a_request_that_joins_a_query_while_it_fails_moves_on_with_the_others(
    house: House, query_id: UUID
) -> None:
    """The joining came first and has not committed: whoever retries the query waits for it."""
    ask = BalanceAsk(shortcode=SHORTCODE)
    attempt_id = begin(house, query_id)
    joining = uuid4()
    with house.database.transaction() as connection:
        shortcodes.askable(connection, SHORTCODE, gate=True)
        found = balance_requests.find(connection, joining, ask, 0).answer
        assert found is not None
        failing = threading.Thread(target=record, args=(house, attempt_id, failure("17")))
        failing.start()
        eventually(lambda: rows(house, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        assert balance_requests.record(connection, joining, ask, found, 600)
    failing.join()
    successor = row(house, "SELECT id FROM balance_queries WHERE retry_of = %s", query_id)["id"]
    moved = rows(house, "SELECT query_id FROM balance_requests")
    assert [request["query_id"] for request in moved] == [successor, successor]
