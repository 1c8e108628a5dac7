"""Instants as people in Kenya read and write them. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from mpesa_balance.results import EAST_AFRICA

_AGO = re.compile(r"([0-9]{1,5})([mhdw])", re.ASCII)
#: M-PESA began in 2007, and people like round numbers.
_FIRST_YEAR, _LAST_YEAR = 1900, 9000

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def told(instant: datetime) -> str:
    """To the second, in East Africa Time."""
    return f"{instant.astimezone(EAST_AFRICA):%Y-%m-%d %H:%M:%S} EAT"


def read(text: str) -> datetime:
    """An instant in UTC, or how long ago it was; what names no zone is meant as it is shown.

    Raises ValueError, also for years in which nothing of M-PESA can lie.
    """
    try:
        instant = _instant(text).astimezone(UTC)
    except (ValueError, OverflowError):
        instant = None
    if instant is None or not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise ValueError(f"{text!r} is no time: write 2026-11-01, 2026-11-01T08:30, 90m, 12h, 7d or 2w")
    return instant


def _instant(text: str) -> datetime:
    if found := _AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=EAST_AFRICA)
