"""Instants as people write them: what is read, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from mpesa_balance import moments


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-01", datetime(2026, 10, 31, 21, tzinfo=UTC)),
        ("2026-11-01T08:30", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ("2026-11-01T08:30:00+00:00", datetime(2026, 11, 1, 8, 30, tzinfo=UTC)),
    ],
)
def test_what_names_no_zone_is_meant_in_east_africa_and_comes_as_utc(text: str, meant: datetime) -> None:
    assert moments.read(text) == meant
    assert moments.read(text).tzinfo is UTC


def test_how_long_ago_is_an_instant_too() -> None:
    assert abs(moments.read("2h") - (datetime.now(UTC) - timedelta(hours=2))) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "text", ["soon", "", "0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31", "99999w", "2026-13-01"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: write 2026-11-01"):
        moments.read(text)
