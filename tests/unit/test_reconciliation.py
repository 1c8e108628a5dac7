"""Balances against the book: what is expected, what is there, and when the difference is told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.balances import Account
from mpesa_balance.errors import RequestRefused
from mpesa_balance.ledgers import Ledger, Movement
from mpesa_balance.reconciliation import AccountLine, Figure, read_tolerance, reconcile

BEGIN = datetime(2026, 11, 21, tzinfo=UTC)
END = BEGIN + timedelta(days=1)


def figure(at: datetime, **accounts: str | None) -> Figure:
    held = tuple(
        Account(name.title(), "KES", current=None if amount is None else Decimal(amount))
        for name, amount in accounts.items()
    )
    return Figure(query_id=UUID(int=0), as_of=at, accounts=held)


def moved(amount: str, account: str = "working", at: datetime = BEGIN + timedelta(hours=1)) -> Movement:
    return Movement(at=at, account=account, amount=Decimal(amount))


def lines(
    opening: Figure, closing: Figure, *movements: Movement, tolerance: str = "0"
) -> dict[str, AccountLine]:
    return {one.account: one for one in reconcile(opening, closing, Ledger(movements), Decimal(tolerance))}


def test_what_should_be_there_is_what_was_there_and_what_moved() -> None:
    found = lines(figure(BEGIN, working="1000"), figure(END, working="1250"), moved("300"), moved("-50"))
    line = found["Working"]
    assert (line.moved_in, line.moved_out, line.expected) == (Decimal(300), Decimal(-50), Decimal(1250))
    assert (line.variance, line.is_off) == (0, False)


@pytest.mark.parametrize(("tolerance", "is_off"), [("0", True), ("0.49", True), ("0.5", False)])
def test_a_difference_beyond_the_tolerance_is_flagged(tolerance: str, is_off: bool) -> None:
    found = lines(figure(BEGIN, working="1000"), figure(END, working="999.50"), tolerance=tolerance)[
        "Working"
    ]
    assert (found.variance, found.is_off) == (Decimal("-0.50"), is_off)


def test_only_what_moved_between_the_two_figures_counts() -> None:
    late = figure(BEGIN + timedelta(minutes=5), working="1000")
    early, within, at_the_end, after = (
        moved("1", at=at)
        for at in (late.as_of, late.as_of + timedelta(seconds=1), END, END + timedelta(seconds=1))
    )
    found = lines(late, figure(END, working="1002"), early, within, at_the_end, after)["Working"]
    assert (found.movements, found.variance) == (2, 0)


def test_an_account_that_only_one_side_knows_of_is_flagged() -> None:
    found = lines(
        figure(BEGIN, working="1", closed="5"), figure(END, working="1", new="7"), moved("3", "Cash Box")
    )
    assert {name for name, line in found.items() if line.is_off} == {"Closed", "New", "Cash Box"}
    assert found["Cash Box"].expected is None
    assert found["New"].variance is None


def test_where_no_current_amount_is_told_its_two_parts_are_added() -> None:
    parts = Account("Working", "KES", available=Decimal(10), reserved=Decimal(5))
    before = Figure(query_id=UUID(int=0), as_of=BEGIN, accounts=(parts,))
    assert lines(before, figure(END, working="15"))["Working"].is_off is False
    unknown = Account("Working", "KES", available=Decimal(10))
    before = Figure(query_id=UUID(int=0), as_of=BEGIN, accounts=(unknown,))
    assert lines(before, figure(END, working="10"))["Working"].opening is None


def test_what_is_in_two_currencies_is_not_added_up() -> None:
    dollars = Account("Working", "USD", current=Decimal(1))
    found = lines(figure(BEGIN, working="1"), Figure(query_id=UUID(int=0), as_of=END, accounts=(dollars,)))
    assert (found["Working"].currency, found["Working"].variance) == ("USD/KES", None)
    assert found["Working"].is_off
    moved_dollars = Movement(BEGIN + timedelta(hours=1), "working", Decimal(1), "USD")
    assert lines(figure(BEGIN, working="1"), figure(END, working="2"), moved_dollars)["Working"].is_off


def test_an_account_that_a_balance_tells_twice_is_refused() -> None:
    twice = (Account("Working", "KES", current=Decimal(1)), Account("WORKING ", "KES", current=Decimal(2)))
    with pytest.raises(RequestRefused, match="told account 'WORKING ' twice"):
        lines(figure(BEGIN, working="1"), Figure(query_id=UUID(int=0), as_of=END, accounts=twice))


def test_a_ledger_about_one_account_is_held_against_that_one_alone() -> None:
    ledger = Ledger((moved("1", "Utility"),), about="utility")
    found = reconcile(
        figure(BEGIN, utility="1", working="1"), figure(END, utility="2", working="9"), ledger, Decimal(0)
    )
    assert [(one.account, one.is_covered, one.is_off) for one in found] == [
        ("Utility", True, False),
        ("Working", False, False),
    ]


def test_a_statement_of_an_account_that_m_pesa_does_not_know_agrees_with_nothing() -> None:
    """Its name may be misspelt; also where nothing moved, that must not pass for an agreement."""
    held = figure(BEGIN, utility="1"), figure(END, utility="2")
    found = reconcile(*held, Ledger((), about="Utility Acount"), Decimal(0))
    assert [(one.account, one.is_off) for one in found] == [("Utility", False), ("Utility Acount", True)]


def test_amounts_are_in_no_repr() -> None:
    opening, closing = figure(BEGIN, working="1234567"), figure(END, working="1234568")
    movement = moved("1234569")
    told = (lines(opening, closing, movement), movement, opening, Ledger((movement,)))
    assert "12345" not in repr(told)


AMOUNTS = st.decimals(-(10**9), 10**9, places=2)


@given(AMOUNTS, st.lists(AMOUNTS, max_size=20), AMOUNTS)
def test_the_variance_is_exact_and_a_document_keeps_all_of_it(
    opening: Decimal, amounts: list[Decimal], variance: Decimal
) -> None:
    closing = opening + sum(amounts, Decimal(0)) + variance
    (line,) = reconcile(
        figure(BEGIN, working=str(opening)),
        figure(END, working=str(closing)),
        Ledger(tuple(moved(str(one)) for one in amounts)),
        Decimal(0),
    )
    assert (line.variance, line.is_off) == (variance, variance != 0)
    assert AccountLine.from_document(line.document()) == line


@pytest.mark.parametrize("text", ["0", "0.50", "1000000", "0.000001"])
def test_a_tolerance_is_a_plain_amount(text: str) -> None:
    assert read_tolerance(text) == Decimal(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "much", "1e3", "1e-999999", "0." + "1" * 60_000, "NaN", "\u0661"]
)
def test_what_no_report_could_show_is_no_tolerance(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no amount from 0: write 0\.50") as refused:
        read_tolerance(text)
    assert len(str(refused.value)) < 100
