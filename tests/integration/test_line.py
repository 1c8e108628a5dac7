"""The line of an app: queries wait their turn in Postgres and leave in the order of their asking."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
import redis

from mpesa_balance import apps, beginnings, breaker, line, shortcodes
from mpesa_balance.contract import SUBMISSIONS_QUEUE
from mpesa_balance.database import DATABASE_FAULTS
from mpesa_balance.errors import Unavailable
from mpesa_balance.line import MOST_WAIT, SPACING
from tests.conftest import SHORTCODE, Bell, entry_of, open_query
from tests.fakes import FakeDaraja, json_reply
from tests.integration.answers import first_in_line, row, rows
from tests.integration.at_once import at_once
from tests.waiting import eventually
from worker import lines, submission, turns
from worker.daraja import Daraja
from worker.house import House
from worker.intake import open_request
from worker.submission import submit
from worker.sweeper import sweep
from worker.turns import Turn

QUOTA = json_reply({"errorCode": "500.003.03", "errorMessage": "Quota Violation"}, 500)


_NOTHING_BEGINS = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'nothing begins any more'; END $$;
    CREATE TRIGGER refusing BEFORE INSERT ON submission_attempts EXECUTE FUNCTION refuse()
"""

_NOBODY_IS_TOLD = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'nobody is told'; END $$;
    CREATE TRIGGER refusing BEFORE UPDATE ON replies EXECUTE FUNCTION refuse()
"""


def slot(house: House, query_id: UUID, spacing: float) -> tuple[float, float]:
    """When the slot of the next in line begins, by the database's clock, and how long it is waited for."""
    attempt = first_in_line(house, query_id)
    assert attempt is not None
    begins, now = free_at(house)
    # The slower the machine, the less of the wait is left.
    assert attempt.wait >= begins - spacing - now - 0.001
    return begins - spacing, attempt.wait


def free_at(house: House) -> tuple[float, float]:
    """When the next slot of the app is free, and what time it is there now."""
    found = row(
        house,
        "SELECT extract(epoch FROM next_slot_at)::float AS free, "
        "extract(epoch FROM clock_timestamp())::float AS now FROM daraja_apps",
    )
    return found["free"], found["now"]


def are_apart(slots: Sequence[tuple[float, float]], spacing: float) -> None:
    assert slots[0][1] == 0
    for number, (_, wait) in enumerate(slots):
        assert wait <= number * spacing + 0.001
    for (before, _), (after, _) in pairwise(slots):
        assert after >= before + spacing - 0.001


def limit(house: House, per_second: str) -> None:
    rows(house, "UPDATE daraja_apps SET requests_per_second = %s RETURNING name", Decimal(per_second))


def test_the_first_in_line_is_served_whichever_bell_is_heard(house: House) -> None:
    asked = [open_query(house.database) for _ in range(3)]
    served = [attempt.query_id for bell in reversed(asked) if (attempt := first_in_line(house, bell))]
    assert served == asked


def test_slots_are_as_far_apart_as_the_rate_says_and_a_little_more(house: House) -> None:
    limit(house, "5")
    asked = [open_query(house.database) for _ in range(4)]
    are_apart([slot(house, query_id, SPACING / 5) for query_id in asked], SPACING / 5)


def test_what_would_have_to_wait_too_long_stays_in_the_line_and_is_rung_again(
    house: House, bell: Bell
) -> None:
    """A worker that held it would hold up other apps."""
    limit(house, str(SPACING / (MOST_WAIT + 60)))
    first, second = (open_query(house.database) for _ in range(2))
    assert first_in_line(house, first) is not None
    assert first_in_line(house, second) is None
    assert row(house, "SELECT count(*) AS n FROM submission_attempts") == {"n": 1}
    sweep(house)
    assert bell.rung == []
    rows(house, "UPDATE daraja_apps SET next_slot_at = now() + interval '4 s' RETURNING name")
    sweep(house)
    assert bell.rung == [second]


def test_all_that_wait_are_sent_when_one_bell_is_heard(house: House, daraja: FakeDaraja) -> None:
    asked = [open_query(house.database) for _ in range(5)]
    submit(house, asked[-1])
    assert len(daraja.queries) == 5
    found = rows(house, "SELECT state FROM balance_queries UNION ALL SELECT state FROM submission_attempts")
    assert found == [{"state": "acknowledged"}] * 10


def test_what_is_sent_together_is_sent_in_the_order_of_the_line(house: House) -> None:
    asked = [open_query(house.database) for _ in range(5)]
    limit(house, "20")
    with house.database.transaction() as connection:
        begun = beginnings.begin(connection, house.database.sealer, "app", 90)
    assert [one.query_id for one in begun] == asked
    assert [one.wait for one in begun] == pytest.approx([n * SPACING / 20 for n in range(5)], abs=0.05)


def test_no_more_are_begun_than_there_are_slots_near(house: House) -> None:
    limit(house, "5")
    asked = [open_query(house.database) for _ in range(9)]
    with house.database.transaction() as connection:
        begun = beginnings.begin(connection, house.database.sealer, "app", 90)
    assert [one.query_id for one in begun] == asked[:5]


def test_a_line_is_attended_until_all_of_it_is_sent_at_the_rate_of_its_app(
    house: House, daraja: FakeDaraja, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "_LONGEST", 60)
    limit(house, "10")
    asked = [open_query(house.database) for _ in range(15)]
    came: list[float] = []
    daraja.when_asked = lambda: came.append(time.monotonic())
    submit(house, asked[0])
    assert len(came) == 15
    # Never faster; a busy machine may be slower.
    assert 14 * SPACING / 10 - 0.1 < came[-1] - came[0] < 30
    assert bell.rung == []


def test_whoever_comes_while_a_line_is_attended_need_not_ring(
    house: House, daraja: FakeDaraja, bell: Bell
) -> None:
    late: list[UUID] = []

    def come() -> None:
        if not late:
            late.append(open_query(house.database))
            lines.ring(house, "app", late[0])

    daraja.when_asked = come
    submit(house, open_query(house.database))
    assert (len(daraja.queries), bell.rung) == (2, [])


def test_what_an_attendant_has_no_hands_for_is_rung_for(
    house: House, daraja: FakeDaraja, bell: Bell
) -> None:
    asked = [open_query(house.database) for _ in range(3)]
    submit(house, asked[0], most=2)
    assert bell.rung == [asked[2]]
    assert len(daraja.queries) == 3


def test_a_long_line_breeds_no_bells(
    house: House, daraja: FakeDaraja, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each bell would bring an attendant who rings as well."""
    monkeypatch.setattr(submission, "_LONGEST", 60)
    asked = [open_query(house.database) for _ in range(20)]
    submit(house, asked[0], most=2)
    assert len(daraja.queries) == 20
    assert bell.rung == [asked[2]]


@pytest.mark.parametrize(("waiting", "rung"), [(0, 2), (1, 1)])
def test_whoever_has_attended_long_enough_hands_on_unless_bells_are_waiting(
    house: House, bell: Bell, store: redis.Redis, monkeypatch: pytest.MonkeyPatch, waiting: int, rung: int
) -> None:
    monkeypatch.setattr(submission, "_LONGEST", 0.3)
    limit(house, "20")
    asked = [open_query(house.database) for _ in range(40)]
    for _ in range(waiting):
        store.lpush(SUBMISSIONS_QUEUE, "a bell")
    submit(house, asked[0], most=2)
    assert row(house, "SELECT count(*) > 0 AS left FROM balance_queries WHERE state = 'pending'")["left"]
    # One when his hands were full, and perhaps one at the end; what comes now rings in any case.
    assert len(bell.rung) == rung
    assert store.keys("mpesa-balance:bell:*") == ([] if waiting else [b"mpesa-balance:bell:app"])


def test_who_has_no_slot_near_does_not_wait_for_the_answers_of_those_before(
    house: House, daraja: FakeDaraja
) -> None:
    limit(house, "5")
    asked = [open_query(house.database) for _ in range(6)]
    places, sixth = iter(range(6)), threading.Event()
    in_time: list[bool] = []

    def come() -> None:
        if next(places) == 5:
            sixth.set()
        # Nobody is answered before the last of them has come.
        in_time.append(sixth.wait(8))

    daraja.when_asked = come
    submit(replace(house, daraja=Daraja(10)), asked[0])
    assert in_time == [True] * 6


def test_what_was_sent_is_recorded_whatever_happens_to_the_attendant(
    house: House, daraja: FakeDaraja
) -> None:
    first = open_query(house.database)

    def fail_next_beginning() -> None:
        with house.database.transaction() as connection:
            connection.execute(_NOTHING_BEGINS)
        lines.ring(house, "app", open_query(house.database))
        # Until the attendant has looked again.
        threading.Event().wait(0.5)

    daraja.when_asked = fail_next_beginning
    with pytest.raises(DATABASE_FAULTS, match="nothing begins any more"):
        submit(house, first)
    assert row(house, "SELECT state FROM balance_queries WHERE id = %s", first) == {"state": "acknowledged"}


def test_what_was_sent_is_recorded_also_where_what_follows_from_other_answers_fails(
    house: House, daraja: FakeDaraja
) -> None:
    asked = [SHORTCODE, "600001", "600002"]
    with house.database.transaction() as connection:
        for shortcode in asked[1:]:
            shortcodes.add(connection, house.database.sealer, entry_of(shortcode))
        connection.execute(_NOBODY_IS_TOLD)
    for shortcode in asked:
        reply_to = {"task": "theirs", "queue": "theirs"}
        open_request(house, str(uuid4()), {"shortcode": shortcode, "reply_to": reply_to})
    daraja.replies.extend([json_reply({"errorCode": "400.002.02", "errorMessage": "Bad Request"}, 400)] * 2)
    come: list[str] = []

    def after_those_before() -> None:
        before = len(come)
        come.append("asked")
        eventually(lambda: len(rows(house, "SELECT FROM balance_queries WHERE state = 'failed'")) >= before)

    daraja.when_asked = after_those_before
    with pytest.raises(DATABASE_FAULTS, match="nobody is told"):
        submit(replace(house, daraja=Daraja(30)), rows(house, "SELECT id FROM balance_queries")[0]["id"])
    found = rows(house, "SELECT state FROM balance_queries ORDER BY state")
    assert [one["state"] for one in found] == ["acknowledged", "failed", "failed"]


def test_an_attendant_that_is_gone_is_missed_after_a_few_seconds_however_many_come(
    house: House, store: redis.Redis
) -> None:
    lines.attend(house, "app")
    (name,) = store.keys("mpesa-balance:bell:*")
    store.expire(name, 300)
    for _ in range(3):
        lines.ring(house, "app", uuid4())
    assert 5 < store.ttl(name) <= 300


def test_one_that_daraja_refuses_holds_up_none_of_those_beside_it(house: House, daraja: FakeDaraja) -> None:
    asked = [open_query(house.database) for _ in range(4)]
    daraja.replies.append(json_reply({"errorCode": "400.002.02", "errorMessage": "Bad Request"}, 400))
    submit(house, asked[0])
    found = rows(house, "SELECT state, count(*) AS n FROM balance_queries GROUP BY 1 ORDER BY 1")
    assert found == [{"state": "acknowledged", "n": 3}, {"state": "failed", "n": 1}]


def test_one_bell_is_enough_until_it_is_heard(house: House, bell: Bell) -> None:
    asked = [open_query(house.database) for _ in range(3)]
    for query_id in asked[:2]:
        lines.ring(house, "app", query_id)
    assert bell.rung == asked[:1]
    submit(house, asked[0])
    lines.ring(house, "app", asked[2])
    assert bell.rung == [asked[0], asked[2]]


def test_bells_of_two_apps_do_not_wait_for_each_other(house: House, bell: Bell) -> None:
    asked = [open_query(house.database) for _ in range(2)]
    for app, query_id in zip(("app", "other"), asked, strict=True):
        lines.ring(house, app, query_id)
    assert bell.rung == asked


def test_without_redis_every_bell_is_rung(house: House, bell: Bell) -> None:
    away = replace(house, store=redis.Redis(port=1))
    asked = [open_query(house.database) for _ in range(2)]
    for query_id in asked:
        lines.ring(away, "app", query_id)
    assert bell.rung == asked


def test_a_used_up_quota_holds_back_the_whole_app_and_no_other(
    house: House, bell: Bell, daraja: FakeDaraja
) -> None:
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
        apps.add(connection, house.database.sealer, replace(app, name="other"))
        entry = shortcodes.named(connection, house.database.sealer, "600000")
        shortcodes.add(connection, house.database.sealer, replace(entry, shortcode="600001", app="other"))
    first, second = (open_query(house.database) for _ in range(2))
    elsewhere = open_query(house.database)
    rows(house, "UPDATE balance_queries SET shortcode = '600001' WHERE id = %s RETURNING id", elsewhere)
    daraja.replies.append(QUOTA)
    submit(house, first)
    assert first_in_line(house, second) is None
    assert first_in_line(house, elsewhere) is not None
    sweep(house)
    assert bell.rung == []


def test_a_wait_that_outlasts_the_deadline_ends_the_query_with_what_daraja_said(
    house: House, daraja: FakeDaraja
) -> None:
    open_query(house.database, deadline=60)
    daraja.replies.append(QUOTA)
    submit(house, row(house, "SELECT id FROM balance_queries")["id"])
    assert row(house, "SELECT state, result_code FROM balance_queries") == {
        "state": "failed",
        "result_code": "500.003.03",
    }


def test_what_was_never_sent_says_so_when_it_times_out(house: House) -> None:
    open_query(house.database)
    rows(house, "UPDATE balance_queries SET deadline_at = now() - interval '1 s' RETURNING id")
    sweep(house)
    assert "nothing was sent" in row(house, "SELECT message FROM outbox")["message"]


def test_holding_back_never_brings_a_slot_nearer(house: House) -> None:
    with house.database.transaction() as connection:
        line.hold_back(connection, "app", 500)
        line.hold_back(connection, "app", 5)
    statement = "SELECT extract(epoch FROM next_slot_at - now())::float AS left FROM daraja_apps"
    assert row(house, statement)["left"] > 400


def test_nothing_due_takes_no_slot(house: House) -> None:
    query_id = open_query(house.database)
    rows(house, "UPDATE balance_queries SET next_attempt_at = 'infinity' RETURNING id")
    assert first_in_line(house, query_id) is None
    assert row(house, "SELECT next_slot_at = '-infinity' AS free FROM daraja_apps") == {"free": True}


def test_an_attempt_that_was_not_ready_for_its_slot_takes_a_later_one(house: House) -> None:
    """A token that takes long to mint must not let all that waited for it go at once."""
    limit(house, "5")
    asked = [open_query(house.database) for _ in range(2)]
    late, second = (first_in_line(house, query_id) for query_id in asked)
    assert late is not None
    assert second is not None
    turn = Turn(house.database, replace(late, wait=-1.0))
    third, _ = free_at(house)
    turn.come()
    # Its own slot has passed and the second is taken.
    free, now = free_at(house)
    assert now >= third
    assert free >= third + SPACING / 5 - 0.001


def test_who_oversleeps_his_slot_takes_a_later_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stalls wakes all that sleep at one moment."""
    limit(house, "5")
    _, second = [first_in_line(house, open_query(house.database)) for _ in range(2)]
    assert second is not None
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds if slept else seconds + 0.5)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(slept), sleep=sleep)
    monkeypatch.setattr(turns, "time", clock)
    third, _ = free_at(house)
    Turn(house.database, second).come()
    free, _ = free_at(house)
    assert free >= third + SPACING / 5 - 0.001


def test_a_second_request_of_one_attempt_takes_a_slot_of_its_own(house: House) -> None:
    limit(house, "5")
    attempt = first_in_line(house, open_query(house.database))
    assert attempt is not None
    turn = Turn(house.database, attempt)
    turn.come()
    before = row(house, "SELECT next_slot_at FROM daraja_apps")["next_slot_at"]
    turn.come()
    assert row(house, "SELECT next_slot_at FROM daraja_apps")["next_slot_at"] > before


def test_a_slow_app_is_served_at_its_rate(house: House) -> None:
    """Its next slot is waited for, though it is more than a second off."""
    limit(house, "0.5")
    asked = [open_query(house.database) for _ in range(2)]
    are_apart([slot(house, query_id, SPACING / 0.5) for query_id in asked], SPACING / 0.5)


def test_a_turn_that_is_too_far_off_sends_the_query_back_into_the_line(
    house: House, daraja: FakeDaraja
) -> None:
    """Its token was refused while the quota was found to be used up: no worker sleeps for minutes."""
    query_id = open_query(house.database)
    attempt = first_in_line(house, query_id)
    assert attempt is not None
    turn = Turn(house.database, attempt)
    turn.come()
    with house.database.transaction() as connection:
        line.hold_back(connection, "app", 300)
    with pytest.raises(Unavailable, match="too far off"):
        turn.come()


def test_a_rate_that_is_corrected_counts_at_once(house: House) -> None:
    limit(house, "0.01")
    first_in_line(house, open_query(house.database))
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
        rated = replace(app, requests_per_second=Decimal(5))
        apps.add(connection, house.database.sealer, rated, replace=True)
    attempt = first_in_line(house, open_query(house.database))
    assert attempt is not None
    assert attempt.wait == 0


def test_the_same_rate_again_frees_no_slot(house: House) -> None:
    limit(house, "0.01")
    first_in_line(house, open_query(house.database))
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
        apps.add(connection, house.database.sealer, app, replace=True)
    assert first_in_line(house, open_query(house.database)) is None


def test_a_credential_that_does_not_open_holds_up_nobody_behind_it(
    house: House, daraja: FakeDaraja
) -> None:
    with house.database.transaction() as connection:
        entry = shortcodes.named(connection, house.database.sealer, "600000")
        broken = replace(entry, shortcode="600001")
        shortcodes.add(connection, house.database.sealer, broken)
    rows(
        house,
        "UPDATE shortcodes SET credential = (SELECT credential FROM shortcodes WHERE shortcode = '600000') "
        "WHERE shortcode = '600001' RETURNING app",
    )
    first, second = (open_query(house.database) for _ in range(2))
    rows(house, "UPDATE balance_queries SET shortcode = '600001' WHERE id = %s RETURNING id", first)
    for query_id in (first, second):
        submit(house, query_id)
    assert [body["PartyA"] for body in daraja.queries] == ["600000"]
    found = row(
        house,
        "SELECT state, attempts, extract(epoch FROM next_attempt_at - now())::float AS wait "
        "FROM balance_queries WHERE id = %s",
        first,
    )
    assert (found["state"], found["attempts"], round(found["wait"], -1)) == ("pending", 0, 60)


def test_an_app_that_was_idle_saves_no_slots_up(house: House) -> None:
    limit(house, "1")
    rows(house, "UPDATE daraja_apps SET next_slot_at = now() - interval '1 hour' RETURNING name")
    _, before = free_at(house)
    with house.database.transaction() as connection:
        taken = [line.take_slots(connection, "app") for _ in range(3)]
    waits = [slots.wait for slots in taken if slots]
    assert len(waits) == 3
    assert all(wait <= number * SPACING + 0.001 for number, wait in enumerate(waits))
    assert free_at(house)[0] >= before + 3 * SPACING - 0.001


def test_an_attempt_that_is_ready_in_time_uses_one_slot(house: House) -> None:
    limit(house, "2")
    open_query(house.database)
    attempt = first_in_line(house, open_query(house.database))
    assert attempt is not None
    before = row(house, "SELECT next_slot_at FROM daraja_apps")
    Turn(house.database, replace(attempt, wait=0.05)).come()
    assert row(house, "SELECT next_slot_at FROM daraja_apps") == before


def test_beginnings_at_once_get_slots_of_their_own(house: House) -> None:
    limit(house, "5")
    asked = [open_query(house.database) for _ in range(4)]

    def begin(query_id: UUID) -> float:
        attempt = first_in_line(house, query_id)
        assert attempt is not None
        return attempt.wait

    _, before = free_at(house)
    waits = sorted(at_once(begin, asked))
    assert all(wait <= number * SPACING / 5 + 0.001 for number, wait in enumerate(waits))
    assert free_at(house)[0] >= before + 4 * SPACING / 5 - 0.001


def test_a_long_line_of_one_app_keeps_no_other_from_being_rung(house: House, bell: Bell) -> None:
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
        apps.add(connection, house.database.sealer, replace(app, name="other"))
        shortcodes.add(connection, house.database.sealer, entry_of("600001", "other"))
    limit(house, "0.1")
    first, *_ = (open_query(house.database) for _ in range(5))
    elsewhere = open_query(house.database)
    rows(house, "UPDATE balance_queries SET shortcode = '600001' WHERE id = %s RETURNING id", elsewhere)
    sweep(house)
    assert set(bell.rung) == {first, elsewhere}


def test_nobody_rings_for_a_suspended_shortcode(house: House, bell: Bell, daraja: FakeDaraja) -> None:
    open_query(house.database)
    with house.database.transaction() as connection:
        breaker.suspend(connection, "600000", "test")
        assert line.first_of(connection, "app") is None
    sweep(house)
    assert bell.rung == []


def test_slots_are_a_tenth_wider_than_the_rate_asks_for() -> None:
    assert pytest.approx(1.1) == SPACING
