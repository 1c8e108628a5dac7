"""Balances over time: those of a period, and of many the last of each of its parts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from mpesa_balance import series
from mpesa_balance.series import Point
from tests.conftest import SHORTCODE
from tests.integration import stocked
from worker.house import House

OTHER = "600001"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def filled(house: House, *minutes: float, shortcode: str = SHORTCODE) -> dict[float, UUID]:
    """Balances that stood so many minutes after noon, each of as many shillings."""
    return {
        at: stocked.completed(
            house, shortcode, f"Working Account|KES|{at}|{at}|0.00|0.00", NOON + at * MINUTE
        )
        for at in minutes
    }


def between(house: House, since: datetime, until: datetime, most: int = 100) -> list[Point]:
    with house.database.transaction() as connection:
        return series.between(connection, house.database.sealer, SHORTCODE, since, until, most)


def newest(house: House, shortcodes: list[str], most: int) -> list[Point]:
    with house.database.transaction() as connection:
        return series.newest(connection, house.database.sealer, shortcodes, most)


def minutes_of(points: list[Point]) -> list[float]:
    """How many minutes after noon they stood."""
    return [(point.as_of - NOON) / MINUTE for point in points]


def test_a_period_goes_from_an_instant_up_to_and_without_another_oldest_first(house: House) -> None:
    ids = filled(house, 3, 1, 4, 2, 0)
    points = between(house, NOON + MINUTE, NOON + 4 * MINUTE)
    assert minutes_of(points) == [1, 2, 3]
    assert [point.query_id for point in points] == [ids[at] for at in (1, 2, 3)]
    assert {point.shortcode for point in points} == {SHORTCODE}
    assert [point.accounts[0].current for point in points] == [Decimal(at) for at in (1, 2, 3)]


def test_a_period_has_no_balance_of_another_shortcode(house: House) -> None:
    stocked.add_shortcode(house, OTHER)
    filled(house, 0, shortcode=OTHER)
    assert between(house, NOON, NOON + MINUTE) == []


def test_of_as_many_balances_as_are_wanted_none_is_left_out(house: House) -> None:
    # All of them stand in the first of three parts.
    filled(house, 0, 1, 2)
    assert minutes_of(between(house, NOON, NOON + 60 * MINUTE, most=3)) == [0, 1, 2]


def test_of_more_balances_than_are_wanted_the_last_of_each_part_is_given(house: House) -> None:
    # The parts begin at 0, 10 and 20 minutes; what stands at a boundary begins the later part.
    filled(house, 0, 4, 9.99, 10, 19, 20, 29.99)
    assert minutes_of(between(house, NOON, NOON + 30 * MINUTE, most=3)) == [9.99, 19, 29.99]


def test_a_part_without_a_balance_gives_none(house: House) -> None:
    filled(house, 0, 1, 2, 25)
    assert minutes_of(between(house, NOON, NOON + 30 * MINUTE, most=3)) == [2, 25]


def test_of_one_part_the_last_balance_of_the_period_is_given(house: House) -> None:
    filled(house, 0, 1, 2, 3)
    assert minutes_of(between(house, NOON, NOON + 3 * MINUTE, most=1)) == [2]


def test_of_balances_that_stood_at_one_instant_the_later_query_is_the_last(house: House) -> None:
    ids = [stocked.completed(house, at=NOON) for _ in range(4)]
    (point,) = between(house, NOON, NOON + MINUTE, most=1)
    assert point.query_id == max(ids)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_the_newest_of_each_shortcode_are_given_oldest_first(house: House, most: int) -> None:
    stocked.add_shortcode(house, OTHER)
    filled(house, 2, 0, 1)
    filled(house, 5, 3, 4, shortcode=OTHER)
    points = newest(house, [OTHER, SHORTCODE], most)
    assert [point.shortcode for point in points] == [SHORTCODE] * min(most, 3) + [OTHER] * min(most, 3)
    assert minutes_of(points) == [0, 1, 2][-most:] + [3, 4, 5][-most:]
    assert points[-1].accounts[0].available == Decimal(5)


def test_a_shortcode_without_a_balance_has_no_newest_one(house: House) -> None:
    stocked.opened(house)
    assert newest(house, [SHORTCODE, "600009"], 1) == newest(house, [], 1) == []


def test_an_amount_stands_in_no_text_of_a_point(house: House) -> None:
    filled(house, 7)
    (point,) = newest(house, [SHORTCODE], 1)
    assert point.accounts[0].current == Decimal(7)
    assert "Working Account" not in repr(point)
