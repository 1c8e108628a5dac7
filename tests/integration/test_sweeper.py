"""The sweeper: what was stranded is rung, what is overdue is timed out, what happened is told."""

import logging
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from mpesa_balance import breaker
from tests.conftest import Bell, open_query
from tests.integration.answers import row, rows, state
from tests.logged import events
from worker import lines
from worker.house import House
from worker.sweeper import sweep


def age(house: House, column: str, seconds: int) -> None:
    statement = f"UPDATE balance_queries SET {column} = now() - make_interval(secs => %s) RETURNING id"
    rows(house, statement, seconds)


def test_a_query_whose_message_was_lost_is_rung_for_again(house: House, bell: Bell, query_id: UUID) -> None:
    sweep(house)
    assert bell.rung == [query_id]
    # One that is on its way is enough, until it has been so for longer than messages are.
    sweep(house)
    assert bell.rung == [query_id]
    lines.leave(house, "app")
    sweep(house)
    assert bell.rung == [query_id] * 2


def test_a_query_that_was_told_to_wait_is_rung_when_its_time_has_come(
    house: House, bell: Bell, query_id: UUID
) -> None:
    age(house, "next_attempt_at", -60)
    sweep(house)
    assert bell.rung == []
    age(house, "next_attempt_at", 1)
    sweep(house)
    assert bell.rung == [query_id]


def test_a_query_of_a_suspended_shortcode_is_not_rung(house: House, bell: Bell, query_id: UUID) -> None:
    with house.database.transaction() as connection:
        breaker.suspend(connection, "600000", "test")
    sweep(house)
    assert bell.rung == []


@pytest.mark.parametrize("state", ["pending", "acknowledged"])
def test_what_nobody_answered_before_its_deadline_is_timed_out(
    house: House, query_id: UUID, state: str
) -> None:
    rows(house, "UPDATE balance_queries SET state = %s RETURNING id", state)
    age(house, "deadline_at", 1)
    sweep(house)
    found = row(house, "SELECT state, ended_at IS NOT NULL AS ended FROM balance_queries")
    assert found == {"state": "timed_out", "ended": True}
    assert rows(house, "SELECT cause FROM query_events ORDER BY id")[-1] == {"cause": "deadline"}


def test_what_has_time_left_is_left_alone(house: House, query_id: UUID) -> None:
    sweep(house)
    assert state(house) == "pending"


def test_many_sweepers_at_once_time_out_each_query_once(house: House) -> None:
    for _ in range(40):
        open_query(house.database)
    age(house, "deadline_at", 1)
    with ThreadPoolExecutor(4) as beats:
        list(beats.map(lambda _: sweep(house), range(8)))
    assert row(house, "SELECT count(*) FROM query_events WHERE state = 'timed_out'") == {"count": 40}
    assert row(house, "SELECT count(*) FROM outbox") == {"count": 40}


def test_each_notice_is_told_once_and_names_its_query(
    house: House, query_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    age(house, "deadline_at", 1)
    caplog.set_level(logging.WARNING, "worker.sweeper")
    for _ in range(3):
        sweep(house)
    (told,) = events(caplog, "notice_told")
    assert (told["topic"], told["query_id"]) == ("query_timed_out", query_id)


def test_a_query_that_daraja_has_taken_is_not_rung(house: House, bell: Bell, query_id: UUID) -> None:
    rows(house, "UPDATE balance_queries SET state = 'acknowledged' RETURNING id")
    sweep(house)
    assert bell.rung == []
