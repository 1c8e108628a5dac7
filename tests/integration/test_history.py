"""What is shown of requests, queries and balances."""

from uuid import UUID

from mpesa_balance import history
from mpesa_balance.answers import BalanceAnswer
from tests.conftest import SHORTCODE, open_query
from tests.integration.answers import BALANCE, OTHER_BALANCE, begin, record, rows, success
from worker.house import House


def newest(house: House) -> list[BalanceAnswer]:
    with house.database.transaction() as connection:
        return history.latest(connection, house.database.sealer, [SHORTCODE])


def completed_at(time: str, balance: str) -> bytes:
    return success(balance).replace(b"20261122120000", f"20261122{time}".encode())


def test_a_balance_of_a_clock_that_is_ahead_passes_for_no_newer_than_what_comes_after_it(
    house: House,
) -> None:
    ahead = success().replace(b"20261122120000", b"20991122120000")
    record(house, begin(house, open_query(house.database)), ahead)
    later = open_query(house.database)
    record(house, begin(house, later), success())
    rows(house, "UPDATE balances SET as_of = now() WHERE query_id = %s RETURNING query_id", later)
    assert [one.query_id for one in newest(house)] == [later]


def test_the_newest_balance_is_the_one_that_stood_last_not_the_one_that_came_last(house: House) -> None:
    morning, noon = open_query(house.database), open_query(house.database)
    morning_attempt, noon_attempt = begin(house, morning), begin(house, noon)
    record(house, noon_attempt, completed_at("120000", BALANCE))
    record(house, morning_attempt, completed_at("090000", OTHER_BALANCE))
    (shown,) = newest(house)
    assert shown.query_id == noon


def test_a_balance_without_a_time_stands_where_it_was_asked(house: House) -> None:
    first, second = open_query(house.database), open_query(house.database)
    rows(
        house,
        "UPDATE balance_queries SET created_at = created_at - interval '1 h' WHERE id = %s RETURNING id",
        first,
    )
    for query_id in (second, first):
        payload = success(BALANCE).replace(b"20261122120000", b'"soon"')
        record(house, begin(house, query_id), payload)
    (shown,) = newest(house)
    assert shown.query_id == second
    assert shown.completed_at is None
    assert "unreadable_completed_time" in shown.warnings


def test_a_query_is_found_by_the_id_of_its_request_too(house: House, query_id: UUID) -> None:
    with house.database.transaction() as connection:
        standing = history.of_query(connection, house.database.sealer, query_id)
        assert standing.request_id is not None
        by_request = history.of_query(connection, house.database.sealer, standing.request_id)
    assert by_request.query_id == query_id


def test_the_timeline_tells_everything_in_order(house: House, query_id: UUID) -> None:
    attempt_id = begin(house, query_id)
    for _ in range(2):
        record(house, attempt_id, success())
    with house.database.transaction() as connection:
        events = history.timeline(connection, query_id)
    told = [event.what for event in events]
    assert told[:3] + told[-1:] == ["asked", "pending", "submitted", "completed"]
    # Both stand at the beginning of the transaction that recorded the callback.
    assert sorted(told[3:-1]) == ["answered", "callback"]
    assert next(event.detail for event in events if event.what == "callback") == "result applied x2"
