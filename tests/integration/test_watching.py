"""Balances over time at the command line: the live table, the history, and the plot."""

import json
from decimal import Decimal

import pytest

from mpesa_balance import shortcodes
from tests.conftest import SHORTCODE, entry_of, open_query
from tests.integration.answers import begin, record, row, rows, success
from tests.integration.commanding import command
from worker.house import House

pytestmark = pytest.mark.usefixtures("as_alice")


def tell(house: House, amount: str, days_ago: float) -> None:
    """A balance that stood so many days ago."""
    query_id = open_query(house.database)
    balance = f"Working Account|KES|{amount}|{amount}|0.00|0.00&Utility Account|KES|5.00|5.00|0.00|0.00"
    record(house, begin(house, query_id), success(balance))
    rows(
        house,
        "UPDATE balances SET as_of = now() - make_interval(secs => %s * 86400) WHERE query_id = %s "
        "RETURNING query_id",
        days_ago,
        query_id,
    )


@pytest.fixture
def told(house: House) -> None:
    for amount, days_ago in (("1000.00", 3.0), ("1500.50", 1.5), ("1200.25", 0.1)):
        tell(house, amount, days_ago)


@pytest.mark.usefixtures("told")
def test_the_table_shows_what_is_available_and_how_it_has_changed_since_yesterday() -> None:
    shown = command("watch", "--times", "1").stdout
    assert "1,200.25" in shown
    assert "-300.25" in shown
    assert "=" in shown


@pytest.mark.usefixtures("told")
def test_each_figure_is_written_down_once_however_often_it_is_drawn(house: House) -> None:
    assert command("watch", "--times", "3", "--every", "0.2").exit_code == 0
    assert row(house, "SELECT count(*) AS n FROM audit WHERE action = 'balance_shown'") == {"n": 1}


@pytest.mark.usefixtures("told")
def test_what_is_being_asked_is_told(house: House) -> None:
    assert "pending" not in command("watch", "--times", "1").stdout
    open_query(house.database)
    assert "pending" in command("watch", "--times", "1").stdout


@pytest.mark.usefixtures("told")
def test_some_shortcodes_are_watched_and_others_not(house: House) -> None:
    with house.database.transaction() as connection:
        shortcodes.add(connection, house.database.sealer, entry_of("600001"))
    assert SHORTCODE not in command("watch", "600001", "--times", "1").stdout
    assert SHORTCODE in command("watch", SHORTCODE, "--times", "1").stdout


@pytest.mark.usefixtures("told")
def test_the_history_is_told_newest_first_and_of_one_account() -> None:
    found = json.loads(command("history", SHORTCODE, "--account", "Working Account", "--json").stdout)
    assert [Decimal(one["available"]) for one in found] == [
        Decimal("1200.25"),
        Decimal("1500.50"),
        Decimal("1000.00"),
    ]
    assert {one["account"] for one in found} == {"Working Account"}
    recent = json.loads(command("history", SHORTCODE, "--since", "2d", "--json").stdout)
    assert len(recent) == 4
    assert "1,500.50" in command("history", SHORTCODE).stdout


@pytest.mark.usefixtures("told")
def test_a_plot_is_drawn_for_each_account() -> None:
    drawn = command("history", SHORTCODE, "--plot").stdout
    assert [name in drawn for name in ("Working Account (KES)", "Utility Account (KES)")] == [True, True]
    # Braille dots are what lines are made of.
    assert any("\u2801" <= sign <= "\u28ff" for sign in drawn)


@pytest.mark.usefixtures("house")
def test_one_balance_is_no_line(house: House) -> None:
    tell(house, "1.00", 0.1)
    assert "look further back" in command("history", SHORTCODE, "--plot").stdout


@pytest.mark.usefixtures("house")
def test_a_shortcode_that_is_not_registered_has_no_history() -> None:
    assert command("history", "699999").exit_code == 4
