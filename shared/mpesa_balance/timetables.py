"""When a schedule is due: Celery's own crontab in a time zone, or an interval. Pure, but for Celery."""

import math
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mpesa_balance.errors import RequestRefused

if TYPE_CHECKING:
    from celery.schedules import crontab

DEFAULT_TIME_ZONE: Final = "Africa/Nairobi"

#: What is asked for more often belongs to nobody's schedule, in seconds.
SHORTEST_INTERVAL: Final = 10
LONGEST_INTERVAL: Final = 366 * 86_400
LONGEST_SPREAD: Final = 3600
_LONGEST_CRONTAB: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """When to ask: `crontab` ("0 */6 * * mon-fri") in `time_zone`, or every so many seconds.

    spread_seconds: each shortcode is asked for at a moment of its own within so many seconds after it.
    """

    crontab: str | None = None
    every_seconds: int | None = None
    time_zone: str = DEFAULT_TIME_ZONE
    spread_seconds: int = 60

    @classmethod
    def read(
        cls, crontab: str | None, every_seconds: int | None, time_zone: str, spread_seconds: int
    ) -> Self:
        """A timetable that can be kept. Raises RequestRefused with everything that is wrong with it."""
        text = " ".join(crontab.split()) if crontab is not None else None
        wrong = []
        if (text is None) == (every_seconds is None):
            wrong.append("a schedule has either a crontab or an interval: give one of them")
        if text is not None and (problem := _check_crontab(text)):
            wrong.append(problem)
        if every_seconds is not None and not SHORTEST_INTERVAL <= every_seconds <= LONGEST_INTERVAL:
            wrong.append(f"the interval must be {SHORTEST_INTERVAL} s to 366 days")
        if (problem := _check_time_zone(time_zone)) is not None:
            wrong.append(problem)
        if not 0 <= spread_seconds <= LONGEST_SPREAD:
            wrong.append(f"the spread must be 0 to {LONGEST_SPREAD} s")
        if wrong:
            raise RequestRefused(wrong)
        return cls(
            crontab=text,
            every_seconds=every_seconds,
            time_zone=time_zone,
            spread_seconds=spread_seconds,
        )

    def next_after(self, instant: datetime, shortcode: str) -> datetime:
        """The first moment after `instant` at which this shortcode is due. Missed ones are passed over."""
        offset = timedelta(seconds=_place(shortcode, self.spread_seconds))
        before = instant - offset
        if self.every_seconds is not None:
            ticks = math.floor(before.timestamp() / self.every_seconds) + 1
            return datetime.fromtimestamp(ticks * self.every_seconds, instant.tzinfo) + offset
        zone = ZoneInfo(self.time_zone)
        due, after = before, before
        # In the hour that an autumn repeats, the wall clock's next moment may be one that is over.
        while due <= before:
            due, after = _next(self.crontab or "", after, zone), after + timedelta(minutes=30)
        return due.astimezone(instant.tzinfo) + offset

    def __str__(self) -> str:
        if self.every_seconds is not None:
            return f"every {timedelta(seconds=self.every_seconds)}"
        return f"{self.crontab} ({self.time_zone})"


def _next(text: str, before: datetime, zone: ZoneInfo) -> datetime:
    table = _crontab(text, now=before)
    # Celery takes some of its bearings from here, and would take them from its own zone.
    table.tz = zone  # type: ignore[misc, assignment]  # the stubs do not know that it may be set
    last, step, _ = table.remaining_delta(before, tz=zone)
    # The step is one of the wall clock, which may stand still or jump; time does neither.
    due: datetime = last + step
    return due.astimezone(UTC)


def _crontab(text: str, now: datetime | None = None) -> "crontab":
    # Here and not above: Celery is slow to import, and most commands do without.
    from celery.schedules import crontab

    minute, hour, day_of_month, month_of_year, day_of_week = text.split(" ")
    return crontab(minute, hour, day_of_week, day_of_month, month_of_year, nowfun=now and (lambda: now))


def _check_crontab(text: str) -> str | None:
    from celery.schedules import ParseException

    if len(text) > _LONGEST_CRONTAB or len(text.split(" ")) != 5:
        return "the crontab must have 5 fields, such as '0 */6 * * mon-fri': minute hour day month weekday"
    try:
        _crontab(text)
    except (ParseException, ValueError) as error:
        return f"the crontab {text!r} cannot be read: {error}"
    return None


def _check_time_zone(name: str) -> str | None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"there is no time zone {name!r}: use a name such as 'Africa/Nairobi'"
    return None


def _place(shortcode: str, spread: int) -> int:
    """The shortcode's own second within the spread: the same one every time."""
    return zlib.crc32(shortcode.encode()) % spread if spread else 0
