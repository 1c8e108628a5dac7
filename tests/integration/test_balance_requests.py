"""A request is answered by a balance at hand, by the query in flight or by a new one; never by two."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from mpesa_balance import breaker, history
from mpesa_balance.answers import BalanceAnswer
from mpesa_balance.contract import request_id_for
from tests.conftest import SHORTCODE, Bell
from tests.integration.answers import BALANCE, begin, failure, record, row, rows, success
from tests.integration.at_once import at_once
from tests.waiting import eventually
from worker.house import House
from worker.intake import open_request


@pytest.fixture
def patient(house: House) -> House:
    """A house that asks for one shortcode every five minutes at most."""
    return replace(house, settings=replace(house.settings, minimum_interval=300))


def ask(house: House, **message: Any) -> BalanceAnswer:
    """Ask, and how the request stands then."""
    request_id = uuid4()
    open_request(house, str(request_id), {"shortcode": SHORTCODE, **message})
    with house.database.transaction() as connection:
        standing = history.of_request(connection, house.database.sealer, request_id)
    assert standing is not None
    return standing


def answer(house: House, standing: BalanceAnswer, payload: bytes) -> None:
    assert standing.query_id is not None
    record(house, begin(house, standing.query_id), payload)


def asked(house: House, **message: Any) -> tuple[str | None, UUID | None]:
    standing = ask(house, **message)
    return standing.answered_by, standing.query_id


def age(house: House, seconds: int) -> None:
    """Let so much time have passed since everything that is stored."""
    for table, columns in (("balances", ("as_of", "recorded_at")), ("balance_queries", ("created_at",))):
        for column in columns:
            rows(
                house,
                f"UPDATE {table} SET {column} = {column} - make_interval(secs => %s) RETURNING shortcode",
                seconds,
            )


def fresh_success() -> bytes:
    """A success that does not say when it was completed, so that it stood so when it was asked for."""
    return success(ResultParameters={"ResultParameter": {"Key": "AccountBalance", "Value": BALANCE}})


def test_a_first_request_opens_a_query_and_rings_for_it(house: House, bell: Bell) -> None:
    first = ask(house)
    assert (first.answered_by, first.state) == ("opened", "pending")
    assert bell.rung == [first.query_id]


@pytest.mark.parametrize("message", [{}, {"max_age": 60}])
def test_a_query_in_flight_is_joined_and_answers_both(
    house: House, bell: Bell, message: dict[str, int]
) -> None:
    first = ask(house)
    joined = ask(house, **message)
    assert (joined.answered_by, joined.query_id) == ("joined", first.query_id)
    assert bell.rung == [first.query_id]
    answer(house, first, success())
    for standing in (first, joined):
        assert standing.request_id is not None
        with house.database.transaction() as connection:
            found = history.of_request(connection, house.database.sealer, standing.request_id)
        assert found is not None
        assert len(found.accounts) == 1


def test_a_balance_that_is_young_enough_is_returned_at_once(house: House, bell: Bell) -> None:
    first = ask(house)
    answer(house, first, fresh_success())
    reused = ask(house, max_age=60)
    assert (reused.answered_by, reused.query_id, reused.state) == ("reused", first.query_id, "completed")
    assert reused.accounts == first.accounts or len(reused.accounts) == 1
    assert len(bell.rung) == 1


def test_a_balance_that_is_too_old_is_asked_for_anew(house: House) -> None:
    answer(house, ask(house), fresh_success())
    age(house, 61)
    assert ask(house, max_age=60).answered_by == "opened"


def test_a_balance_is_as_old_as_mpesa_says_also_when_it_came_just_now(house: House) -> None:
    """A late result of an hour ago is no balance of this minute."""
    answer(house, ask(house), success())
    rows(house, "UPDATE balances SET as_of = now() - interval '1 hour' RETURNING shortcode")
    assert ask(house, max_age=60).answered_by == "opened"


def test_a_balance_is_not_younger_than_its_arrival_though_mpesas_clock_is_ahead(house: House) -> None:
    answer(house, ask(house), success())
    age(house, 3600)
    rows(house, "UPDATE balances SET as_of = now() + interval '1 hour' RETURNING shortcode")
    assert ask(house, max_age=60).answered_by == "opened"


def test_within_the_minimum_interval_the_answer_is_the_balance_at_hand_and_when_the_next_is_possible(
    patient: House, bell: Bell
) -> None:
    first = ask(patient)
    answer(patient, first, success())
    soon = ask(patient, max_age=0)
    assert (soon.answered_by, soon.query_id, soon.state) == ("too_soon", first.query_id, "completed")
    asked_at = row(patient, "SELECT created_at FROM balance_queries")["created_at"]
    assert soon.next_possible_at is not None
    assert (soon.next_possible_at - asked_at).total_seconds() == 300
    assert len(bell.rung) == 1


def test_after_the_minimum_interval_a_query_is_opened(patient: House) -> None:
    answer(patient, ask(patient), success())
    age(patient, 301)
    assert ask(patient).answered_by == "opened"


@pytest.mark.parametrize("payload", [failure("25"), success("|")])
def test_a_query_that_brought_no_balance_starts_no_interval(patient: House, payload: bytes) -> None:
    first = ask(patient)
    answer(patient, first, payload)
    rows(patient, "UPDATE balance_queries SET state = 'failed' WHERE state = 'pending' RETURNING id")
    assert ask(patient).answered_by == "opened"


def test_force_opens_a_query_whatever_is_in_flight_or_at_hand(patient: House) -> None:
    first = ask(patient)
    second = ask(patient, force=True)
    assert (second.answered_by, second.query_id == first.query_id) == ("opened", False)
    answer(patient, first, success())
    assert ask(patient, force=True, max_age=60).answered_by == "opened"


def test_an_idempotency_key_gives_its_first_answer_for_ever(house: House) -> None:
    message = {"shortcode": SHORTCODE, "idempotency_key": "payroll"}
    for _ in range(2):
        open_request(house, str(uuid4()), message)
        age(house, 10_000)
    assert len(rows(house, "SELECT FROM balance_queries")) == 1
    open_request(house, str(uuid4()), message | {"force": True})
    assert row(house, "SELECT id FROM balance_requests")["id"] == request_id_for(SHORTCODE, "payroll")


def test_a_suspended_shortcode_still_gives_what_is_at_hand_and_nothing_else(house: House) -> None:
    answer(house, ask(house), fresh_success())
    with house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "wrong password")
    assert ask(house, max_age=60).answered_by == "reused"
    refused = ask(house, max_age=0)
    assert refused.refusal is not None
    assert "suspended" in refused.refusal


def test_many_that_ask_at_once_are_answered_by_one_query(house: House, bell: Bell) -> None:
    """Eight begin together; all but the first find its query."""
    at_once(lambda _: ask(house), range(8))
    how = sorted(found["answered_by"] for found in rows(house, "SELECT answered_by FROM balance_requests"))
    assert how == ["joined"] * 7 + ["opened"]
    assert len(rows(house, "SELECT FROM balance_queries")) == len(bell.rung) == 1


@pytest.fixture
def held(house: House, database_url: str) -> Iterator[psycopg.Connection]:
    """A transaction of somebody else, for as long as the test lets it last."""
    with psycopg.connect(database_url) as connection:
        yield connection


def test_a_request_waits_for_the_one_before_it_and_then_joins(
    house: House, held: psycopg.Connection
) -> None:
    """Ordered by the lock: the second cannot look before the first has written."""
    held.execute("SELECT FROM shortcodes WHERE shortcode = %s FOR NO KEY UPDATE", (SHORTCODE,))
    query_id = uuid4()
    held.execute(
        "INSERT INTO balance_queries (id, shortcode, remarks, deadline_at) "
        "VALUES (%s, %s, 'ok', now() + interval '1 min')",
        (query_id, SHORTCODE),
    )
    answers: list[tuple[str | None, UUID | None]] = []
    thread = threading.Thread(target=lambda: answers.append(asked(house)))
    thread.start()
    eventually(lambda: rows(house, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    assert answers == []
    held.commit()
    thread.join()
    assert answers == [("joined", query_id)]


def test_the_database_itself_keeps_two_queries_from_being_in_flight(house: House) -> None:
    ask(house)
    with pytest.raises(psycopg.errors.UniqueViolation):
        rows(
            house,
            "INSERT INTO balance_queries (id, shortcode, remarks, deadline_at) "
            "VALUES (gen_random_uuid(), %s, 'ok', now()) RETURNING id",
            SHORTCODE,
        )


@pytest.mark.parametrize(
    "message", [{"max_age": -1}, {"max_age": "60"}, {"max_age": True}, {"force": "yes"}]
)
def test_what_cannot_be_meant_is_refused_on_record(house: House, message: dict[str, object]) -> None:
    refused = ask(house, **message)
    assert refused.refusal is not None
    assert next(iter(message)) in refused.refusal


def test_joining_a_query_of_a_shortcode_that_was_suspended_meanwhile_is_refused(house: House) -> None:
    ask(house)
    with house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "wrong password")
    assert ask(house).refusal is not None


def test_of_two_balances_the_newest_answers_and_says_when_the_next_is_possible(patient: House) -> None:
    first = ask(patient)
    answer(patient, first, fresh_success())
    age(patient, 100)
    second = ask(patient, force=True)
    answer(patient, second, fresh_success())
    assert ask(patient, max_age=290).query_id == second.query_id
    soon = ask(patient, max_age=0)
    assert soon.query_id == second.query_id
    asked_at = row(patient, "SELECT max(created_at) AS at FROM balance_queries")["at"]
    assert soon.next_possible_at is not None
    assert (soon.next_possible_at - asked_at).total_seconds() == 300


def test_a_refused_request_that_is_asked_again_has_its_new_time(house: House) -> None:
    message = {"shortcode": SHORTCODE, "idempotency_key": "k"}
    with house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "x")
    open_request(house, str(uuid4()), message)
    before = row(house, "UPDATE balance_requests SET requested_at = now() - interval '1 h' RETURNING now()")
    with house.database.transaction() as connection:
        breaker.resume(connection, SHORTCODE)
    open_request(house, str(uuid4()), message)
    assert row(house, "SELECT requested_at FROM balance_requests")["requested_at"] >= before["now"]


def test_a_refusal_says_no_more_than_fits_and_keeps_no_sign_that_does_not_print(house: House) -> None:
    refused = ask(house, **{f"argument_{n}": 1 for n in range(2000)})
    assert refused.refusal is not None
    assert len(refused.refusal) == 2000
    open_request(house, str(uuid4()), {"shortcode": "6\x00"})
    found = rows(house, "SELECT shortcode FROM balance_requests ORDER BY requested_at")
    assert [one["shortcode"] for one in found] == [SHORTCODE, None]
