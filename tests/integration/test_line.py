"""The line of an app: queries wait their turn in Postgres and leave in the order of their asking."""

import time
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from mpesa_balance import apps, breaker, line, shortcodes
from mpesa_balance.errors import Unavailable
from mpesa_balance.line import MOST_WAIT, SPACING
from tests.conftest import Bell, entry_of, open_query
from tests.fakes import FakeDaraja, json_reply
from tests.integration.answers import first_in_line, row, rows
from tests.integration.at_once import at_once
from worker.house import House
from worker.submission import submit
from worker.sweeper import sweep
from worker.turns import Turn

QUOTA = json_reply({"errorCode": "500.003.03", "errorMessage": "Quota Violation"}, 500)


def limit(house: House, per_second: str) -> None:
    rows(house, "UPDATE daraja_apps SET requests_per_second = %s RETURNING name", Decimal(per_second))


def test_the_first_in_line_is_served_whichever_bell_is_heard(house: House) -> None:
    asked = [open_query(house.database) for _ in range(3)]
    served = [attempt.query_id for bell in reversed(asked) if (attempt := first_in_line(house, bell))]
    assert served == asked


def test_slots_are_as_far_apart_as_the_rate_says_and_a_little_more(house: House) -> None:
    limit(house, "5")
    asked = [open_query(house.database) for _ in range(4)]
    found = [first_in_line(house, query_id) for query_id in asked]
    waits = [attempt.wait for attempt in found if attempt]
    assert waits[0] == 0
    assert waits == pytest.approx([n * SPACING / 5 for n in range(4)], abs=0.15)


def test_what_would_have_to_wait_too_long_stays_in_the_line_and_is_rung_again(
    house: House, bell: Bell
) -> None:
    """A worker that held it would hold up other apps."""
    limit(house, str(SPACING / (MOST_WAIT + 1)))
    first, second = (open_query(house.database) for _ in range(2))
    assert first_in_line(house, first) is not None
    assert first_in_line(house, second) is None
    assert row(house, "SELECT count(*) AS n FROM submission_attempts") == {"n": 1}
    sweep(house)
    assert bell.rung == []
    rows(house, "UPDATE daraja_apps SET next_slot_at = now() + interval '4 s' RETURNING name")
    sweep(house)
    assert bell.rung == [second]


def test_whoever_is_done_rings_for_the_next_whose_bell_was_heard_in_vain(
    house: House, bell: Bell, daraja: FakeDaraja
) -> None:
    limit(house, str(SPACING / (MOST_WAIT + 1)))
    first, second = (open_query(house.database) for _ in range(2))
    submit(house, first)
    assert bell.rung == []
    submit(house, second)
    rows(house, "UPDATE daraja_apps SET next_slot_at = '-infinity' RETURNING name")
    third = open_query(house.database)
    rows(house, "UPDATE balance_queries SET rung_at = '-infinity' WHERE id = %s RETURNING id", third)
    submit(house, second)
    assert [body["PartyA"] for body in daraja.queries] == ["600000"] * 2
    assert bell.rung == [third]


def test_no_more_bells_are_rung_than_an_app_may_send(house: House, bell: Bell) -> None:
    limit(house, "1")
    asked = [open_query(house.database) for _ in range(12)]
    rows(house, "UPDATE balance_queries SET rung_at = '-infinity' RETURNING id")
    sweep(house)
    assert bell.rung == asked[: house.settings.sweep_interval]


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
    rows(house, "UPDATE balance_queries SET rung_at = '-infinity' WHERE id = %s RETURNING id", second)
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
    began = time.monotonic()
    turn.come()
    # Its own slot has passed and the second is taken: the third is two spacings after the first.
    assert time.monotonic() - began > SPACING / 5


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
    found = [first_in_line(house, query_id) for query_id in asked]
    assert [round(attempt.wait, 1) for attempt in found if attempt] == [0.0, 2.2]


def test_a_bell_that_served_another_is_rung_once_more(house: House, bell: Bell) -> None:
    waiting = open_query(house.database)
    rows(house, "UPDATE balance_queries SET rung_at = '-infinity' RETURNING id")
    asked = open_query(house.database)
    served = first_in_line(house, asked)
    assert served is not None
    assert served.query_id == waiting
    sweep(house)
    assert bell.rung == [asked]


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
    with house.database.transaction() as connection:
        waits = [line.take_slot(connection, "app") for _ in range(3)]
    assert waits == pytest.approx([0, SPACING, 2 * SPACING], abs=0.05)


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

    assert sorted(at_once(begin, asked)) == pytest.approx([n * SPACING / 5 for n in range(4)], abs=0.15)


def test_a_long_line_of_one_app_keeps_no_other_from_being_rung(house: House, bell: Bell) -> None:
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
        apps.add(connection, house.database.sealer, replace(app, name="other"))
        shortcodes.add(connection, house.database.sealer, entry_of("600001", "other"))
    limit(house, "0.1")
    for _ in range(5):
        open_query(house.database)
    elsewhere = open_query(house.database)
    rows(house, "UPDATE balance_queries SET shortcode = '600001' WHERE id = %s RETURNING id", elsewhere)
    rows(house, "UPDATE balance_queries SET rung_at = '-infinity' RETURNING id")
    sweep(house)
    assert elsewhere in bell.rung
    assert len(bell.rung) == 3


def test_nobody_rings_for_a_suspended_shortcode(house: House, bell: Bell, daraja: FakeDaraja) -> None:
    open_query(house.database)
    rows(house, "UPDATE balance_queries SET rung_at = '-infinity' RETURNING id")
    with house.database.transaction() as connection:
        breaker.suspend(connection, "600000", "test")
        assert line.ring_next(connection, "app") is None
    sweep(house)
    assert bell.rung == []


def test_slots_are_a_tenth_wider_than_the_rate_asks_for() -> None:
    assert pytest.approx(1.1) == SPACING
