"""A result that asks for another try gets one: another query, which answers the same requests."""

from uuid import UUID, uuid4

import pytest

from mpesa_balance import history
from tests.conftest import SHORTCODE, Bell
from tests.integration.answers import begin, failure, record, row, rows, success
from worker import lines
from worker.house import House
from worker.intake import open_request
from worker.sweeper import sweep


@pytest.fixture
def request_id(house: House) -> UUID:
    made = uuid4()
    open_request(house, str(made), {"shortcode": SHORTCODE})
    return made


def query_of(house: House, request_id: UUID) -> UUID:
    found = row(house, "SELECT query_id FROM balance_requests WHERE id = %s", request_id)
    return UUID(str(found["query_id"]))


def fail(house: House, query_id: UUID, code: str) -> None:
    record(house, begin(house, query_id), failure(code))


@pytest.mark.parametrize("code", ["17", "26", "100000002", "100000011"])
def test_the_request_moves_to_a_query_that_waits_as_the_schedule_says(
    house: House, request_id: UUID, code: str
) -> None:
    first = query_of(house, request_id)
    fail(house, first, code)
    second = query_of(house, request_id)
    found = row(
        house,
        "SELECT state, retry_of, retries, extract(epoch FROM next_attempt_at - created_at)::float AS wait "
        "FROM balance_queries WHERE id = %s",
        second,
    )
    assert (found["state"], found["retry_of"], found["retries"]) == ("pending", first, 1)
    assert 3.75 <= found["wait"] <= 6.25
    assert row(house, "SELECT state FROM balance_queries WHERE id = %s", first) == {"state": "failed"}


def test_the_second_try_answers_the_request_and_nobody_was_alarmed(house: House, request_id: UUID) -> None:
    fail(house, query_of(house, request_id), "17")
    record(house, begin(house, query_of(house, request_id)), success())
    with house.database.transaction() as connection:
        standing = history.of_request(connection, house.database.sealer, request_id)
    assert standing is not None
    assert standing.state == "completed"
    assert rows(house, "SELECT FROM outbox") == []


def test_it_is_rung_for_when_its_wait_is_over(house: House, request_id: UUID, bell: Bell) -> None:
    fail(house, query_of(house, request_id), "17")
    rows(house, "UPDATE balance_queries SET next_attempt_at = now() + interval '1 h' RETURNING id")
    bell.rung.clear()
    lines.leave(house, "app")
    sweep(house)
    assert bell.rung == []
    second = query_of(house, request_id)
    rows(
        house,
        "UPDATE balance_queries SET next_attempt_at = now() WHERE id = %s RETURNING id",
        second,
    )
    sweep(house)
    assert bell.rung == [second]


def test_after_the_last_try_the_request_has_failed_and_somebody_is_told_with_the_advice(
    house: House, request_id: UUID
) -> None:
    for _ in house.settings.retries.backoff:
        fail(house, query_of(house, request_id), "17")
    assert rows(house, "SELECT FROM outbox") == []
    fail(house, query_of(house, request_id), "17")
    assert len(rows(house, "SELECT FROM balance_queries WHERE state = 'failed'")) == 4
    (told,) = rows(house, "SELECT topic, message FROM outbox")
    assert told["topic"] == "query_failed"
    assert "17" in told["message"]


def test_what_would_begin_after_the_deadline_is_not_begun(house: House, request_id: UUID) -> None:
    query_id = query_of(house, request_id)
    attempt_id = begin(house, query_id)
    rows(house, "UPDATE balance_queries SET deadline_at = now() + interval '1 s' RETURNING id")
    record(house, attempt_id, failure("17"))
    assert query_of(house, request_id) == query_id


def test_a_late_result_is_not_tried_again(house: House, request_id: UUID) -> None:
    query_id = query_of(house, request_id)
    attempt_id = begin(house, query_id)
    record(house, attempt_id, b"{}", "timeout")
    record(house, attempt_id, failure("17"))
    assert query_of(house, request_id) == query_id
    assert row(house, "SELECT state, late FROM balance_queries") == {"state": "failed", "late": True}


def test_the_same_result_again_asks_for_no_third_try(house: House, request_id: UUID) -> None:
    attempt_id = begin(house, query_of(house, request_id))
    for suffix in (b"", b"", b" "):
        record(house, attempt_id, failure("17") + suffix)
    assert len(rows(house, "SELECT FROM balance_queries")) == 2


def test_who_asks_meanwhile_joins_the_second_try(house: House, request_id: UUID) -> None:
    fail(house, query_of(house, request_id), "17")
    second = uuid4()
    open_request(house, str(second), {"shortcode": SHORTCODE})
    assert query_of(house, second) == query_of(house, request_id)


def test_the_history_says_what_it_is_a_retry_of(house: House, request_id: UUID) -> None:
    first = query_of(house, request_id)
    fail(house, first, "17")
    with house.database.transaction() as connection:
        events = history.timeline(connection, query_of(house, request_id))
    assert f"retry of {first}" in [event.detail.removeprefix("by ") for event in events]


def test_the_retry_of_an_unforced_query_is_unforced(house: House, request_id: UUID) -> None:
    fail(house, query_of(house, request_id), "17")
    assert [one["forced"] for one in rows(house, "SELECT forced FROM balance_queries")] == [False, False]


def test_the_query_that_failed_says_what_took_its_place(house: House, request_id: UUID) -> None:
    first = query_of(house, request_id)
    fail(house, first, "17")
    with house.database.transaction() as connection:
        events = history.timeline(connection, first)
    assert [event.detail for event in events if event.what == "retried"] == [
        f"by query {query_of(house, request_id)}"
    ]
