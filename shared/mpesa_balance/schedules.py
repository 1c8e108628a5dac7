"""Schedules of shortcodes in Postgres: each due tick is taken once, whoever looks, and missed ones once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from mpesa_balance.contract import REQUEST_NAMESPACE
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound
from mpesa_balance.timetables import Timetable


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A shortcode that is asked for by itself. next_due_at: None until the next tick has planned it."""

    id: int
    shortcode: str
    timetable: Timetable
    next_due_at: datetime | None
    last_due_at: datetime | None
    last_request_id: UUID | None
    paused_at: datetime | None

    @property
    def request_id(self) -> UUID:
        """The request of the tick that is due: however often it is opened, it is one."""
        due = self.next_due_at.timestamp() if self.next_due_at else None
        return uuid5(REQUEST_NAMESPACE, f"schedule/{self.id}/{due}")


def add(connection: Connection, shortcode: str, timetable: Timetable) -> Schedule:
    """Add a schedule for a registered shortcode."""
    row = {
        "shortcode": shortcode,
        "crontab": timetable.crontab,
        "every_seconds": timetable.every_seconds,
        "time_zone": timetable.time_zone,
        "spread_seconds": timetable.spread_seconds,
    }
    (added,) = connection.execute(_ADD, row).fetchall()
    return _schedule(added)


def every(connection: Connection, shortcode: str | None = None) -> list[Schedule]:
    """All schedules, or those of one shortcode."""
    return [_schedule(row) for row in connection.execute(_EVERY, {"shortcode": shortcode})]


def remove(connection: Connection, number: int) -> Schedule:
    """Remove a schedule; what it was. Raises NotFound."""
    return _found(connection.execute(_REMOVE, {"id": number}).fetchone(), number)


def pause(connection: Connection, number: int) -> Schedule:
    """Let a schedule rest until it is resumed. Raises NotFound."""
    return _found(connection.execute(_PAUSE, {"id": number}).fetchone(), number)


def resume(connection: Connection, number: int) -> Schedule:
    """Let a schedule go on with its next tick; what it missed meanwhile stays missed. Raises NotFound."""
    return _found(connection.execute(_RESUME, {"id": number}).fetchone(), number)


def plan(connection: Connection, speed: float, limit: int = 500) -> int:
    """Find out when what is new is due for the first time; how many were planned."""
    rows = connection.execute(_UNPLANNED, {"speed": speed, "limit": limit}).fetchall()
    planned = [(_schedule(row), row["now_at"]) for row in rows]
    connection.cursor().executemany(
        _PLAN, [{"id": one.id, "next_due_at": _next(one, now_at)} for one, now_at in planned]
    )
    return len(planned)


def take_due(connection: Connection, speed: float, limit: int) -> list[Schedule]:
    """Schedules that are due, moved on to their next ticks when this transaction commits; at most `limit`.

    However many ticks were missed, each is due once. In the order of their shortcodes, which is that in
    which they are locked: two that take some at once wait for each other in no circle.
    """
    rows = connection.execute(_DUE, {"speed": speed, "limit": limit}).fetchall()
    due = [(_schedule(row), row["now_at"]) for row in rows]
    moved = {
        "ids": [one.id for one, _ in due],
        "request_ids": [one.request_id for one, _ in due],
        "next_due_at": [_next(one, now_at) for one, now_at in due],
    }
    connection.execute(_MOVE_ON, moved)
    return sorted((one for one, _ in due), key=lambda one: (one.shortcode, one.id))


def _next(schedule: Schedule, now_at: datetime) -> datetime:
    return schedule.timetable.next_after(now_at, schedule.shortcode)


def _schedule(row: dict[str, Any]) -> Schedule:
    timetable = Timetable(**{name: row[name] for name in Timetable.__slots__})
    named = {name: row[name] for name in Schedule.__slots__ if name != "timetable"}
    return Schedule(timetable=timetable, **named)


def _found(row: dict[str, Any] | None, number: int) -> Schedule:
    if row is None:
        raise NotFound(f"no schedule has the number {number}: see `mpesa-balance shortcodes schedule list`")
    return _schedule(row)


_COLUMNS: Final = """
    id, shortcode, crontab, every_seconds, time_zone, spread_seconds, next_due_at, last_due_at,
    last_request_id, paused_at
"""

#: The clock of the schedules is the database's; a rehearsal lets it run faster.
_NOW: Final = """
    (timestamptz '2026-01-01 00:00Z'
     + (clock_timestamp() - timestamptz '2026-01-01 00:00Z') * %(speed)s::double precision)
"""

_ADD: Final = f"""
    INSERT INTO schedules (shortcode, crontab, every_seconds, time_zone, spread_seconds)
    VALUES (%(shortcode)s, %(crontab)s, %(every_seconds)s, %(time_zone)s, %(spread_seconds)s)
    RETURNING {_COLUMNS}
"""  # noqa: S608 - the parts of these statements are constants above

_EVERY: Final = f"""
    SELECT {_COLUMNS} FROM schedules WHERE shortcode = coalesce(%(shortcode)s, shortcode)
    ORDER BY shortcode, id
"""  # noqa: S608

_REMOVE: Final = f"DELETE FROM schedules WHERE id = %(id)s RETURNING {_COLUMNS}"  # noqa: S608

_PAUSE: Final = f"""
    UPDATE schedules SET paused_at = coalesce(paused_at, now()) WHERE id = %(id)s RETURNING {_COLUMNS}
"""  # noqa: S608

_RESUME: Final = f"""
    UPDATE schedules SET paused_at = NULL, next_due_at = NULL WHERE id = %(id)s RETURNING {_COLUMNS}
"""  # noqa: S608

_UNPLANNED: Final = f"""
    SELECT {_COLUMNS}, {_NOW} AS now_at FROM schedules
    WHERE next_due_at IS NULL AND paused_at IS NULL LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""  # noqa: S608

_PLAN: Final = "UPDATE schedules SET next_due_at = %(next_due_at)s WHERE id = %(id)s"

#: What is due is found by the index: a clock that is read anew for each row would be held against all.
_DUE: Final = f"""
    SELECT {_COLUMNS}, {_NOW} AS now_at FROM schedules
    WHERE next_due_at <= (SELECT {_NOW}) AND paused_at IS NULL
    ORDER BY next_due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""  # noqa: S608

_MOVE_ON: Final = """
    UPDATE schedules s SET last_due_at = s.next_due_at, last_request_id = moved.request_id,
                           next_due_at = moved.next_due_at
    FROM unnest(%(ids)s::bigint[], %(request_ids)s::uuid[], %(next_due_at)s::timestamptz[])
        moved (id, request_id, next_due_at)
    WHERE s.id = moved.id
"""
