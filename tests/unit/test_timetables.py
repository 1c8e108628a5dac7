"""When a schedule is due: by crontab in its time zone, or by interval, each shortcode in its own second."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.errors import RequestRefused
from mpesa_balance.timetables import Timetable


def crontab(text: str, time_zone: str = "Africa/Nairobi", spread: int = 0) -> Timetable:
    return Timetable.read(text, None, time_zone, spread)


def interval(seconds: int, spread: int = 0) -> Timetable:
    return Timetable.read(None, seconds, "Africa/Nairobi", spread)


def due(timetable: Timetable, after: str, shortcode: str = "600000") -> str:
    found = timetable.next_after(datetime.fromisoformat(after), shortcode)
    return found.strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("0 */6 * * *", "2026-11-22 10:00:30Z", "2026-11-22 15:00:00"),
        ("0 */6 * * *", "2026-11-22 15:00:00Z", "2026-11-22 21:00:00"),
        ("59 23 * * *", "2026-11-22 10:00:00Z", "2026-11-22 20:59:00"),
        ("0 9 * * mon-fri", "2026-11-20 12:00:00Z", "2026-11-23 06:00:00"),
        ("0 0 29 2 *", "2026-11-22 00:00:00Z", "2028-02-28 21:00:00"),
        ("  0   9 *  * * ", "2026-11-22 05:59:59Z", "2026-11-22 06:00:00"),
    ],
)
def test_a_crontab_is_read_in_nairobi(text: str, after: str, expected: str) -> None:
    assert due(crontab(text), after) == expected


def test_an_hour_that_the_clock_leaves_out_is_made_up_for_and_one_that_it_repeats_counts_once() -> None:
    berlin = crontab("30 2 * * *", "Europe/Berlin")
    assert due(berlin, "2026-03-28 12:00:00Z") == "2026-03-29 01:30:00"
    assert due(berlin, "2026-10-24 12:00:00Z") == "2026-10-25 00:30:00"
    assert due(berlin, "2026-10-25 00:30:00Z") == "2026-10-26 01:30:00"


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("0 * * 1-6 *", "America/New_York", "2026-01-06 04:00:00Z", "2026-01-06 05:00:00"),
        ("0 */2 1-7 * *", "America/New_York", "2026-06-02 02:00:00Z", "2026-06-02 04:00:00"),
        ("0 */3 * 1-6 *", "America/Los_Angeles", "2026-01-06 05:00:00Z", "2026-01-06 08:00:00"),
        ("0 */6 1-7 * *", "Pacific/Auckland", "2026-01-02 05:00:00Z", "2026-01-02 11:00:00"),
    ],
)
def test_days_and_months_are_those_of_its_zone(text: str, zone: str, after: str, expected: str) -> None:
    assert due(crontab(text, zone), after) == expected


def test_what_is_planned_in_an_hour_that_the_clock_repeats_lies_ahead() -> None:
    berlin = crontab("30 2 * * *", "Europe/Berlin")
    assert due(berlin, "2026-10-25 01:05:00Z") in ("2026-10-25 01:30:00", "2026-10-26 01:30:00")


def test_an_interval_counts_from_the_clock_and_not_from_its_beginning() -> None:
    assert due(interval(900), "2026-11-22 10:07:31Z") == "2026-11-22 10:15:00"
    assert due(interval(900), "2026-11-22 10:15:00Z") == "2026-11-22 10:30:00"


def test_a_thousand_shortcodes_do_not_ask_in_the_same_second() -> None:
    after = datetime(2026, 11, 22, 10, tzinfo=UTC)
    for timetable in (crontab("0 * * * *", spread=60), interval(3600, spread=60)):
        moments = [timetable.next_after(after, str(600_000 + n)) for n in range(1000)]
        assert len(set(moments)) == 60
        assert max(moments.count(moment) for moment in set(moments)) < 40


@given(
    st.sampled_from([crontab("*/7 3-20 * * 1,3,5", spread=45), interval(77, 60), crontab("0 0 1 * *")]),
    st.integers(1_577_836_800, 2_208_988_800).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.integers(10_000, 999_999).map(str),
)
def test_what_is_due_lies_ahead_and_nothing_lies_between(
    timetable: Timetable, after: datetime, shortcode: str
) -> None:
    following = timetable.next_after(after, shortcode)
    assert following > after
    assert timetable.next_after(following - timedelta(microseconds=1), shortcode) == following


@pytest.mark.parametrize(
    ("crontab", "every", "zone", "spread", "said"),
    [
        (None, None, "UTC", 0, "either a crontab or an interval"),
        ("* * * * *", 60, "UTC", 0, "either a crontab or an interval"),
        ("* * * *", None, "UTC", 0, "5 fields"),
        ("* * * * * *", None, "UTC", 0, "5 fields"),
        ("61 * * * *", None, "UTC", 0, "61 > 59"),
        ("0 0 30 2 *", None, "UTC", 0, "never occurs"),
        ("a * * * *", None, "UTC", 0, "cannot be read"),
        ("*/0 * * * *", None, "UTC", 0, "cannot be read"),
        ("1" * 300 + " * * * *", None, "UTC", 0, "5 fields"),
        (None, 9, "UTC", 0, "10 s to 366 days"),
        (None, 10**9, "UTC", 0, "10 s to 366 days"),
        ("* * * * *", None, "Africa/Nairob", 0, "no time zone"),
        ("* * * * *", None, "../etc/passwd", 0, "no time zone"),
        ("* * * * *", None, "", 0, "no time zone"),
        ("* * * * *", None, "UTC", -1, "spread must be"),
        ("* * * * *", None, "UTC", 3601, "spread must be"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(
    crontab: str | None, every: int | None, zone: str, spread: int, said: str
) -> None:
    with pytest.raises(RequestRefused, match=said):
        Timetable.read(crontab, every, zone, spread)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(RequestRefused) as refused:
        Timetable.read("61 * * * *", None, "Mars", -1)
    assert len(refused.value.violations) == 3
