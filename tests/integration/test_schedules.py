"""Schedules: each due tick is opened once, whoever looks, and missed ones once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mpesa_balance import schedules, shortcodes
from mpesa_balance.errors import NotFound
from mpesa_balance.schedules import Schedule
from mpesa_balance.timetables import Timetable
from tests.conftest import SHORTCODE, Bell, entry_of
from tests.integration.answers import begin, record, row, rows, success
from tests.integration.at_once import at_once
from worker.house import House
from worker.scheduling import open_due

HOURLY = Timetable.read("0 * * * *", None, "Africa/Nairobi", 0)


def add(house: House, timetable: Timetable = HOURLY) -> Schedule:
    with house.database.transaction() as connection:
        return schedules.add(connection, SHORTCODE, timetable)


def look(house: House) -> Schedule:
    with house.database.transaction() as connection:
        (found,) = schedules.every(connection)
    return found


def make_due(house: House, ago: str = "1 s") -> None:
    open_due(house)
    rows(house, f"UPDATE schedules SET next_due_at = now() - interval '{ago}' RETURNING id")


def many(house: House, number: int) -> None:
    """So many shortcodes, each with a schedule that is due."""
    with house.database.transaction() as connection:
        for one in range(number):
            shortcodes.add(connection, house.database.sealer, entry_of(str(700000 + one)))
            schedules.add(connection, str(700000 + one), HOURLY)
    make_due(house)


def requests(house: House) -> list[dict[str, Any]]:
    return rows(house, "SELECT * FROM balance_requests ORDER BY requested_at")


def test_a_new_schedule_is_planned_at_the_next_tick_and_asks_for_nothing_yet(house: House) -> None:
    add(house)
    open_due(house)
    found = look(house)
    assert found.next_due_at is not None
    assert (found.next_due_at.minute, found.next_due_at.second, found.last_due_at) == (0, 0, None)
    assert requests(house) == []


def test_what_is_due_is_asked_for_once_and_planned_again(house: House, bell: Bell) -> None:
    added = add(house)
    make_due(house)
    due_at = look(house).next_due_at
    for _ in range(3):
        open_due(house)
    (asked,) = requests(house)
    assert (asked["requested_by"], asked["answered_by"]) == (f"schedule {added.id}", "opened")
    found = look(house)
    assert (found.last_due_at, found.last_request_id) == (due_at, asked["id"])
    assert found.next_due_at is not None
    assert found.next_due_at > due_at
    assert bell.rung == [asked["query_id"]]


def test_of_two_ticks_that_are_a_minimum_interval_apart_the_second_is_not_too_soon(house: House) -> None:
    """The first was taken up a moment late."""
    house = replace(house, settings=replace(house.settings, minimum_interval=300))
    add(house)
    make_due(house)
    open_due(house)
    (first,) = requests(house)
    record(house, begin(house, first["query_id"]), success())
    rows(house, "UPDATE balance_queries SET created_at = now() - interval '298 s' RETURNING id")
    rows(house, "UPDATE schedules SET next_due_at = now() RETURNING id")
    open_due(house)
    assert [one["answered_by"] for one in requests(house)] == ["opened", "opened"]


def test_any_number_of_clocks_open_a_tick_once(house: House) -> None:
    add(house)
    make_due(house)
    at_once(open_due, [house] * 4)
    assert len(requests(house)) == 1


def test_whoever_looks_at_once_opens_each_of_many_that_are_due_once(house: House) -> None:
    many(house, 250)
    at_once(open_due, [house] * 3)
    asked = requests(house)
    assert len(asked) == len({one["shortcode"] for one in asked}) == 250


def test_what_is_due_at_once_is_rung_for_once(house: House, bell: Bell) -> None:
    many(house, 150)
    open_due(house)
    assert len(requests(house)) == 150
    assert len(bell.rung) == 1


def test_two_schedules_of_one_shortcode_that_are_due_together_ask_once(house: House) -> None:
    for _ in range(2):
        add(house)
    make_due(house)
    open_due(house)
    assert [one["answered_by"] for one in requests(house)] == ["opened", "joined"]
    assert len(rows(house, "SELECT FROM balance_queries")) == 1


def test_ticks_that_were_missed_are_made_up_for_by_one(house: House) -> None:
    add(house)
    make_due(house, ago="3 days")
    open_due(house)
    open_due(house)
    assert len(requests(house)) == 1
    ahead = row(house, "SELECT next_due_at - now() AS ahead FROM schedules")["ahead"]
    assert timedelta(0) < ahead <= timedelta(hours=1)


def test_a_shortcode_that_cannot_be_asked_for_is_refused_on_record_and_its_schedule_goes_on(
    house: House,
) -> None:
    add(house)
    rows(house, "UPDATE shortcodes SET suspended_at = now(), suspended_because = 'x' RETURNING app")
    make_due(house)
    open_due(house)
    (asked,) = requests(house)
    assert "is suspended" in asked["refusal"]
    found = look(house)
    assert found.last_request_id == asked["id"]
    assert found.next_due_at is not None
    assert found.next_due_at > asked["requested_at"]


def test_one_that_cannot_be_done_holds_up_no_other(house: House) -> None:
    for _ in range(3):
        add(house)
    rows(house, "UPDATE shortcodes SET suspended_at = now(), suspended_because = 'x' RETURNING app")
    make_due(house)
    open_due(house)
    assert len(requests(house)) == 3


def test_a_tick_whose_process_ended_before_it_was_committed_is_opened_by_the_next(house: House) -> None:
    add(house)
    make_due(house)
    with house.database.transaction() as connection:
        assert schedules.take_due(connection, 1, 10)
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
    open_due(house)
    assert len(requests(house)) == 1


def test_a_schedule_that_rests_asks_for_nothing_and_makes_up_for_nothing(house: House) -> None:
    added = add(house)
    make_due(house)
    with house.database.transaction() as connection:
        schedules.pause(connection, added.id)
    open_due(house)
    assert requests(house) == []
    with house.database.transaction() as connection:
        schedules.resume(connection, added.id)
    open_due(house)
    assert requests(house) == []
    assert look(house).next_due_at is not None


def test_in_a_rehearsal_a_day_takes_a_minute(house: House) -> None:
    fast = replace(house, settings=replace(house.settings, schedule_speed=1440))
    add(house)
    open_due(fast)
    ahead = """
        SELECT next_due_at - (timestamptz '2026-01-01 00:00Z'
                              + (clock_timestamp() - timestamptz '2026-01-01 00:00Z') * 1440) AS ahead
        FROM schedules
    """
    assert row(house, ahead)["ahead"] <= timedelta(hours=1)


@pytest.mark.parametrize("what", [schedules.remove, schedules.pause, schedules.resume])
def test_a_number_that_no_schedule_has_is_said(house: House, what: Any) -> None:
    with house.database.transaction() as connection, pytest.raises(NotFound, match="schedule list"):
        what(connection, 4711)


def test_a_removed_schedule_asks_no_more(house: House) -> None:
    added = add(house)
    make_due(house)
    with house.database.transaction() as connection:
        schedules.remove(connection, added.id)
    open_due(house)
    assert requests(house) == []
