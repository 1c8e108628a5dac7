"""Schedules: `mpesa-balance shortcodes schedule ...`."""

import re
from typing import Any, Final

import click

from mpesa_balance import audit, schedules, shortcodes
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.database import Connection
from mpesa_balance.schedules import Schedule
from mpesa_balance.timetables import DEFAULT_TIME_ZONE, Timetable

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)


class _Duration(click.ParamType[int]):
    """Seconds, written as people do: 90s, 15m, 6h, 1d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _DURATION.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no time: write 90s, 15m, 6h or 1d", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


@click.group("schedule")
def schedule_group() -> None:
    """When shortcodes are asked for by themselves."""


@schedule_group.command("add")
@click.argument("shortcode")
@click.option("--crontab", help="minute hour day month weekday, such as '0 */6 * * mon-fri'.")
@click.option("--every", "every_seconds", type=_Duration(), help="An interval instead: 15m, 6h, 1d.")
@click.option("--time-zone", default=DEFAULT_TIME_ZONE, show_default=True, help="Of the crontab.")
@click.option(
    "--spread",
    "spread_seconds",
    type=_Duration(),
    default="60s",
    show_default=True,
    help="Each shortcode is asked for at a moment of its own within this time after it is due.",
)
@output.as_json
def add_schedule(shortcode: str, json_output: bool, **timetable: Any) -> None:
    """Ask for SHORTCODE by itself, at the times of a crontab or at an interval.

    Ticks that are missed while no worker runs are made up for by one.
    """
    read = Timetable.read(**timetable)
    database = stores.database()
    with database.transaction() as connection:
        shortcodes.named(connection, database.sealer, shortcode)
        added = schedules.add(connection, shortcode, read)
        _note(connection, Action.SCHEDULE_ADDED, added)
    output.report(f"Schedule {added.id} asks for {shortcode}: {read}.", _document(added), json_output)


@schedule_group.command("list")
@click.argument("shortcode", required=False)
@output.as_json
def list_schedules(shortcode: str | None, json_output: bool) -> None:
    """Show the schedules, of SHORTCODE or of all."""
    with stores.database().transaction() as connection:
        found = schedules.every(connection, shortcode)
    if json_output:
        output.write_json([_document(one) for one in found])
        return
    columns = ("Number", "Shortcode", "When", "Next", "Last", "Last request")
    output.write_table(columns, [_row(one) for one in found])


@schedule_group.command("remove")
@click.argument("number", type=int)
@output.as_json
def remove_schedule(number: int, json_output: bool) -> None:
    """Ask no more by schedule NUMBER."""
    with stores.database().transaction() as connection:
        removed = schedules.remove(connection, number)
        _note(connection, Action.SCHEDULE_REMOVED, removed)
    output.report(f"Schedule {number} is removed.", _document(removed), json_output)


@schedule_group.command("pause")
@click.argument("number", type=int)
@output.as_json
def pause_schedule(number: int, json_output: bool) -> None:
    """Let schedule NUMBER rest until it is resumed."""
    with stores.database().transaction() as connection:
        paused = schedules.pause(connection, number)
        _note(connection, Action.SCHEDULE_PAUSED, paused)
    output.report(f"Schedule {number} rests.", _document(paused), json_output)


@schedule_group.command("resume")
@click.argument("number", type=int)
@output.as_json
def resume_schedule(number: int, json_output: bool) -> None:
    """Let schedule NUMBER go on with its next tick."""
    with stores.database().transaction() as connection:
        resumed = schedules.resume(connection, number)
        _note(connection, Action.SCHEDULE_RESUMED, resumed)
    output.report(f"Schedule {number} goes on.", _document(resumed), json_output)


def _note(connection: Connection, action: Action, one: Schedule) -> None:
    audit.add(connection, actor(), action, one.shortcode, f"schedule {one.id}, {one.timetable}")


def _row(one: Schedule) -> tuple[str, ...]:
    following = "rests" if one.paused_at else output.moment(one.next_due_at) or "being planned"
    request = str(one.last_request_id or "")
    when = str(one.timetable)
    return (str(one.id), one.shortcode, when, following, output.moment(one.last_due_at), request)


def _document(one: Schedule) -> dict[str, Any]:
    table = one.timetable
    return {
        "id": one.id,
        "shortcode": one.shortcode,
        "crontab": table.crontab,
        "every_seconds": table.every_seconds,
        "time_zone": table.time_zone,
        "spread_seconds": table.spread_seconds,
        "next_due_at": one.next_due_at and one.next_due_at.isoformat(),
        "last_due_at": one.last_due_at and one.last_due_at.isoformat(),
        "last_request_id": one.last_request_id and str(one.last_request_id),
        "paused_at": one.paused_at and one.paused_at.isoformat(),
    }
