"""Recorded first, judged after that: receipts, judgements whose worker ended, and poison among them."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from mpesa_balance import completions, inbox, judgement
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import DatabaseUnavailable
from tests.conftest import Bell, open_query
from tests.integration.answers import OTHER_BALANCE, begin, delivery, row, rows, state, success
from tests.integration.at_once import at_once
from worker import callbacks
from worker.house import House
from worker.receipts import Receipts
from worker.sweeper import sweep

SPOOL = "0123456789abcdef" * 2


class Died(BaseException):
    """The end of a process, as far as its transaction can tell."""


def keep(house: House, attempt_id: UUID, payload: bytes = success()) -> int:
    """A callback whose worker ended between recording and judging it."""
    with house.database.transaction() as connection:
        (callback_id,) = inbox.record(connection, [Delivery.read(delivery(house, attempt_id, payload))])
    return callback_id


def age(house: House, callback_id: int, seconds: int = 11) -> None:
    statement = (
        "UPDATE callbacks SET judging_at = now() - make_interval(secs => %s) WHERE id = %s RETURNING id"
    )
    rows(house, statement, seconds, callback_id)


def numbered(house: House, attempt_id: UUID, number: int, payload: bytes = success()) -> dict[str, Any]:
    return {**delivery(house, attempt_id, payload), "number": number}


def test_the_spool_is_told_which_numbers_are_recorded(
    house: House, store: redis.Redis, attempt_id: UUID
) -> None:
    messages = [numbered(house, attempt_id, 7), numbered(house, uuid4(), 9)]
    callbacks.record(house, messages, SPOOL)
    assert store.lrange(f"mpesa-receipts:{SPOOL}", 0, -1) == [b"7", b"9"]
    assert 0 < store.ttl(f"mpesa-receipts:{SPOOL}") <= 3600
    assert state(house) == "completed"


def test_the_receipt_comes_after_the_commit(house: House, attempt_id: UUID) -> None:
    """Another connection sees the callback when its receipt is sent."""
    seen = []

    class Looking(Receipts):
        def send(self, spool: str, numbers: Any) -> None:
            seen.append(row(house, "SELECT count(*) AS n FROM callbacks")["n"])

    looking = replace(house, receipts=Looking(redis.Redis()))
    callbacks.record(looking, [numbered(house, attempt_id, 1)], SPOOL)
    assert seen == [1]


def test_the_receipt_does_not_wait_for_a_judgement(
    house: House, store: redis.Redis, monkeypatch: pytest.MonkeyPatch, attempt_id: UUID
) -> None:
    """Poison that held it up would come again with each round of the spool."""

    def deadly(*_: Any) -> dict[int, UUID]:
        raise Died

    monkeypatch.setattr(completions, "complete", deadly)
    with pytest.raises(Died):
        callbacks.record(house, [numbered(house, attempt_id, 7)], SPOOL)
    assert store.lrange(f"mpesa-receipts:{SPOOL}", 0, -1) == [b"7"]


def test_of_a_batch_the_result_that_came_first_counts(house: House, query_id: UUID) -> None:
    """Batches are recorded in an order of their own, and judged in that of their arrival."""
    for hour in range(1, 7):
        attempt_id = begin(house, open_query(house.database))
        messages = [delivery(house, attempt_id, body) for body in (success(), success(OTHER_BALANCE))]
        first, second = messages if hour % 2 else reversed(messages)
        first["received_at"] = f"2026-11-22T{hour:02}:00:00+00:00"
        second["received_at"] = f"2026-11-22T{hour:02}:00:01+00:00"
        callbacks.record(house, [second, first])
        found = rows(
            house,
            "SELECT disposition FROM callbacks WHERE attempt_id = %s ORDER BY received_at",
            attempt_id,
        )
        assert [one["disposition"] for one in found] == ["applied", "conflict"]


def test_what_comes_again_gets_another_receipt_and_changes_nothing(
    house: House, store: redis.Redis, attempt_id: UUID
) -> None:
    message = numbered(house, attempt_id, 1)
    for _ in range(3):
        callbacks.record(house, [message], SPOOL)
    assert store.llen(f"mpesa-receipts:{SPOOL}") == 3
    assert rows(house, "SELECT deliveries, judgings FROM callbacks") == [{"deliveries": 3, "judgings": 1}]


def test_a_receipt_that_redis_does_not_take_stops_nothing(house: House, attempt_id: UUID) -> None:
    away = replace(house, receipts=Receipts(redis.Redis(port=1, retry=None)))
    callbacks.record(away, [numbered(house, attempt_id, 1)], SPOOL)
    assert state(house) == "completed"


@pytest.mark.parametrize("spool", ["", "x", f"{SPOOL}\n", "../" + SPOOL])
def test_nothing_but_a_spool_gets_receipts(
    house: House, store: redis.Redis, attempt_id: UUID, spool: str
) -> None:
    callbacks.record(house, [numbered(house, attempt_id, 1)], spool)
    assert store.keys("*receipts*") == []


def test_two_batches_with_the_same_callbacks_do_not_wait_for_each_other_in_a_circle(house: House) -> None:
    messages = [delivery(house, uuid4(), b"%d" % number) for number in range(40)]
    batches = [messages, messages[::-1], messages[::2] + messages[1::2], messages]
    at_once(lambda given: callbacks.record(house, given), batches)
    assert row(house, "SELECT count(*) AS n, min(deliveries) AS d FROM callbacks") == {"n": 40, "d": 4}
    assert row(house, "SELECT count(*) AS n FROM callbacks WHERE disposition IS NULL") == {"n": 0}


def test_a_callback_whose_worker_ended_is_judged_after_the_next_sweep(
    house: House, bell: Bell, attempt_id: UUID
) -> None:
    callback_id = keep(house, attempt_id)
    sweep(house)
    assert bell.judged == []
    age(house, callback_id)
    sweep(house)
    sweep(house)
    assert bell.judged == [callback_id]
    rows(house, "UPDATE callbacks SET rung_at = rung_at - interval '21 s' RETURNING id")
    sweep(house)
    assert bell.judged == [callback_id] * 2
    bell.judged.pop()
    callbacks.judge_again(house, callback_id)
    assert state(house) == "completed"
    sweep(house)
    assert bell.judged == [callback_id]


def test_whoever_else_was_rung_for_it_leaves_it_alone(house: House, attempt_id: UUID) -> None:
    callback_id = keep(house, attempt_id)
    callbacks.judge_again(house, callback_id)
    assert row(house, "SELECT judgings, disposition FROM callbacks") == {"judgings": 1, "disposition": None}
    age(house, callback_id)
    with house.database.transaction() as connection:
        taken = inbox.take_up(connection, callback_id), inbox.take_up(connection, callback_id)
    assert taken == (True, False)


def test_what_comes_again_before_it_is_judged_is_left_to_the_sweeper(
    house: House, attempt_id: UUID
) -> None:
    """Poison that comes again with each round of the spool would end a worker each time, uncounted."""
    keep(house, attempt_id)
    callbacks.record(house, [numbered(house, attempt_id, 1)], SPOOL)
    found = row(
        house,
        "SELECT deliveries, judgings, disposition, now() - judging_at < interval '10 s' AS is_leased "
        "FROM callbacks",
    )
    assert found == {"deliveries": 2, "judgings": 1, "disposition": None, "is_leased": True}


@pytest.mark.parametrize("flags", [(True, False), (False, True)])
def test_what_once_came_from_an_unknown_address_stays_marked(
    house: House, attempt_id: UUID, flags: tuple[bool, bool]
) -> None:
    for flagged in flags:
        callbacks.record(house, [{**delivery(house, attempt_id, success()), "flagged": flagged}])
    assert rows(house, "SELECT deliveries, flagged FROM callbacks") == [{"deliveries": 2, "flagged": True}]


def test_two_never_judge_one_callback_at_the_same_time(house: House, attempt_id: UUID) -> None:
    callback_id = keep(house, attempt_id)
    with house.database.transaction() as first:
        inbox.find(first, callback_id)
        with pytest.raises(DatabaseUnavailable), house.database.transaction() as second:
            second.execute("SET LOCAL lock_timeout = '100ms'")
            inbox.find(second, callback_id)


def test_one_that_was_settled_while_its_worker_was_held_up_stays_as_it_is(
    house: House, attempt_id: UUID
) -> None:
    """The lease was over, somebody else judged it, and then its first worker comes to it."""
    callback_id = keep(house, attempt_id)
    age(house, callback_id)
    callbacks.judge_again(house, callback_id)
    events = row(house, "SELECT count(*) AS n FROM query_events")
    callbacks._judge(house, callback_id)
    assert row(house, "SELECT disposition FROM callbacks") == {"disposition": "applied"}
    assert row(house, "SELECT count(*) AS n FROM query_events") == events


def test_one_that_is_settled_is_not_judged_again(house: House, attempt_id: UUID) -> None:
    callback_id = keep(house, attempt_id)
    age(house, callback_id)
    callbacks.judge_again(house, callback_id)
    age(house, callback_id)
    callbacks.judge_again(house, callback_id)
    assert row(house, "SELECT judgings, disposition FROM callbacks") == {
        "judgings": 2,
        "disposition": "applied",
    }


@pytest.mark.slow
@pytest.mark.limits
def test_a_judgement_that_postgres_does_not_let_be_made_is_not_counted(
    house: House, attempt_id: UUID
) -> None:
    """Somebody holds the table of the queries, as a migration does, for longer than three judgements."""
    callback_id = keep(house, attempt_id)
    for _ in range(3):
        age(house, callback_id)
        with house.database.transaction() as connection:
            connection.execute("LOCK TABLE balance_queries")
            with pytest.raises(DatabaseUnavailable):
                callbacks.judge_again(house, callback_id)
    assert row(house, "SELECT judgings FROM callbacks") == {"judgings": 1}
    age(house, callback_id)
    callbacks.judge_again(house, callback_id)
    assert state(house) == "completed"


def test_poison_is_quarantined_after_three_judgements_and_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch, query_id: UUID
) -> None:
    """Its judgement ends the process it runs in; what came in the same batch is judged all the same."""
    poison, good = begin(house, query_id), begin(house, open_query(house.database))
    real = judgement.judge

    def deadly_batch(*_: Any) -> dict[int, UUID]:
        raise Died

    def deadly(connection: Any, sealer: Any, kept: inbox.Kept, *rest: Any) -> judgement.Verdict:
        if kept.attempt_id == poison:
            raise Died
        return real(connection, sealer, kept, *rest)

    monkeypatch.setattr(completions, "complete", deadly_batch)
    monkeypatch.setattr(judgement, "judge", deadly)
    with pytest.raises(Died):
        callbacks.record(house, [delivery(house, one, success()) for one in (poison, good)])
    ids = {
        found["attempt_id"]: found["id"] for found in rows(house, "SELECT id, attempt_id FROM callbacks")
    }
    for _ in range(3):
        for callback_id in ids.values():
            age(house, callback_id)
        for callback_id in ids.values():
            try:
                callbacks.judge_again(house, callback_id)
            except Died:
                assert callback_id == ids[poison]
    found = rows(house, "SELECT attempt_id, disposition, judgings, reason FROM callbacks ORDER BY judgings")
    assert [(one["attempt_id"], one["disposition"], one["judgings"]) for one in found] == [
        (good, "applied", 2),
        (poison, "unreadable", 4),
    ]
    assert "was begun 3 times and never came to an end" in found[1]["reason"]
    told = rows(house, "SELECT topic, callback_id FROM outbox")
    assert told == [{"topic": "callback_unreadable", "callback_id": ids[poison]}]
