"""Daraja's balance string: every layout that is known, and calm about those that are not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.balances import Account, parse_balance
from mpesa_balance.errors import CallbackUnreadable

PLAIN = "Working Account|KES|700000.00|650000.00|50000.00|0.00"

names = st.from_regex(r"[A-Z][a-z]{2,12}( [A-Z][a-z]{2,12}){0,3}", fullmatch=True)
amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=2)


def test_the_four_numbers_are_current_available_reserved_uncleared() -> None:
    (account,) = parse_balance("Charges Paid Account|KES|-153780.00|-164505.00|10725.00|1.00").accounts
    assert account == Account(
        "Charges Paid Account",
        "KES",
        current=Decimal("-153780.00"),
        available=Decimal("-164505.00"),
        reserved=Decimal("10725.00"),
        uncleared=Decimal("1.00"),
    )


def test_available_is_current_less_reserved_or_a_warning_says_so() -> None:
    assert parse_balance(PLAIN).warnings == ()
    assert parse_balance(PLAIN.replace("650000", "650001")).warnings == ("available_mismatch",)


def test_white_space_is_collapsed_and_empty_segments_are_skipped() -> None:
    balance = parse_balance("&  Working   Account | KES | 1.00 | 1.00 | 0.00 | 0.00 && ")
    assert [account.name for account in balance.accounts] == ["Working Account"]


def test_a_missing_number_is_null_and_the_account_stays() -> None:
    (account,) = parse_balance("Working Account|KES|700000.00").accounts
    assert (account.current, account.available) == (Decimal("700000.00"), None)


@pytest.mark.parametrize("text", ["1,000.00", "NaN", "1e9", "KES", "०१", "9" * 40, "--1"])
def test_a_number_that_cannot_be_read_is_null_and_never_guessed(text: str) -> None:
    balance = parse_balance(f"Working Account|KES|{text}|1.00|0.00|0.00")
    assert not any(account.current for account in balance.accounts)
    assert balance.warnings


def test_the_layout_that_repeats_the_currency_gives_available_uncleared_reserved() -> None:
    text = "Working Account|KES|7.00|KES|1.00|KES|2.00|Charges Paid Account|KES|-3.00|KES|4.00|KES|5.00"
    working, charges = parse_balance(text).accounts
    assert (working.current, working.available) == (None, Decimal("7.00"))
    assert (working.uncleared, working.reserved) == (Decimal("1.00"), Decimal("2.00"))
    assert (charges.available, charges.uncleared) == (Decimal("-3.00"), Decimal("4.00"))


def test_accounts_without_a_separator_between_them_stay_apart() -> None:
    balance = parse_balance(f"{PLAIN}|Utility Account|KES|1.00|1.00|0.00|0.00")
    assert [account.name for account in balance.accounts] == ["Working Account", "Utility Account"]
    assert balance.warnings == ("missing_separator",)


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("Working Account|KES|1.001|1.001|0.00|0.00", "unusual_scale"),
        ("A|KES|1.00|1.00|0.00|0.00&B|USD|1.00|1.00|0.00|0.00", "mixed_currencies"),
        ("Working Account|KES|1.00|1.00|0.00|0.00|9.00", "unexpected_fields"),
        ("|KES|1.00|1.00|0.00|0.00", "missing_name"),
        ("Working Account||1.00|1.00|0.00|0.00", "missing_currency"),
        ("Working Account|KES|x|1.00|0.00|0.00", "unreadable_amount"),
    ],
)
def test_what_is_odd_is_said(text: str, warning: str) -> None:
    assert parse_balance(text).warnings == (warning,)


@pytest.mark.parametrize(
    "text", ["", "&", " | | ", "&&|", "Service temporarily unavailable", "Working Account|KES|N/A|N/A"]
)
def test_a_string_without_any_account_is_unreadable(text: str) -> None:
    with pytest.raises(CallbackUnreadable):
        parse_balance(text)


def test_amounts_are_in_no_repr() -> None:
    assert "700000" not in repr(parse_balance(PLAIN))


@given(st.lists(st.tuples(names, amounts, amounts, amounts), min_size=1, max_size=12))
def test_every_account_and_every_amount_arrives_where_it_was_sent(rows: list[tuple[str, ...]]) -> None:
    text = "&".join(f"{name}|KES|{a}|{b}|{c}|0.00" for name, a, b, c in rows)
    got = [(one.name, one.current, one.available, one.reserved) for one in parse_balance(text).accounts]
    assert got == rows


@given(st.text(alphabet="AKESk|&.- 019", max_size=60))
def test_no_text_invents_an_amount_or_raises_anything_else(text: str) -> None:
    try:
        balance = parse_balance(text)
    except CallbackUnreadable:
        return
    sent = [part.strip() for part in text.replace("&", "|").split("|")]
    for account in balance.accounts:
        for amount in (account.current, account.available, account.reserved, account.uncleared):
            if amount is not None:
                sent.remove(next(part for part in sent if _same(part, amount)))


@given(st.text(max_size=60))
def test_an_account_survives_its_document(name: str) -> None:
    account = Account(name, None, available=Decimal("-1.50"))
    assert Account.from_document(account.document()) == account


def _same(part: str, amount: Decimal) -> bool:
    return str(amount) in (part, part.removeprefix("+")) or part.lstrip("+-0") == str(amount).lstrip("-0")


def test_a_currency_that_is_left_out_moves_no_number_to_another_place() -> None:
    (account,) = parse_balance("Working Account|700.00|650.00|50.00|0.00").accounts
    assert account.currency is None
    assert (account.current, account.available, account.reserved, account.uncleared) == (
        Decimal("700.00"),
        Decimal("650.00"),
        Decimal("50.00"),
        Decimal("0.00"),
    )


@pytest.mark.parametrize("currency", ["kes", "KSH.", "K", "KES KES"])
def test_a_currency_of_another_form_is_kept_and_said_to_be_odd(currency: str) -> None:
    balance = parse_balance(f"Working Account|{currency}|1.00|1.00|0.00|0.00")
    assert balance.accounts[0].currency == currency
    assert balance.warnings == ("unusual_currency",)


def test_two_accounts_of_one_name_are_both_kept_and_said_to_be_odd() -> None:
    balance = parse_balance(f"{PLAIN}&{PLAIN}")
    assert len(balance.accounts) == 2
    assert balance.warnings == ("repeated_account",)


@pytest.mark.parametrize("blank", ["\n", "\t", "\r\n", "\u00a0", " \n "])
def test_no_kind_of_white_space_costs_an_amount(blank: str) -> None:
    balance = parse_balance(f"{PLAIN}{blank}&{blank}Utility Account|KES|1.00|1.00|0.00|0.00{blank}")
    assert [account.uncleared for account in balance.accounts] == [Decimal("0.00")] * 2
    assert balance.warnings == ()


def test_an_ampersand_that_was_written_for_html_separates_too() -> None:
    assert len(parse_balance(PLAIN + "&amp;" + PLAIN.replace("Working", "Utility")).accounts) == 2


def test_a_number_that_cannot_be_read_starts_no_account_of_its_name() -> None:
    (account,) = parse_balance("A|KES|1,000.00|KES|5.00|KES|6.00").accounts
    assert (account.available, account.uncleared, account.reserved) == (
        None,
        Decimal("5.00"),
        Decimal("6.00"),
    )


def test_each_account_is_read_in_its_own_layout() -> None:
    plain, repeated = parse_balance("Aa|KES|1|2|3|4|Bb|KES|5|KES|6|KES|7").accounts
    assert (plain.current, plain.available, plain.reserved, plain.uncleared) == (1, 2, 3, 4)
    assert (repeated.available, repeated.uncleared, repeated.reserved) == (5, 6, 7)


def test_another_currency_in_the_repeated_layout_is_said() -> None:
    assert "mixed_currencies" in parse_balance("Aa|KES|1.00|USD|2.00").warnings


def test_an_account_without_its_first_amount_is_said_in_either_layout() -> None:
    for text in ("Aa|KES|Bb|KES|1.00|KES|2.00|KES|0.00", "Aa|KES|&Bb|KES|1.00|1.00|0.00|0.00"):
        assert "missing_amounts" in parse_balance(text).warnings


def test_a_name_that_no_terminal_should_get_is_made_printable() -> None:
    assert parse_balance("A\x00\x1bB|KES|1.00").accounts[0].name == "A\ufffd\ufffdB"


def test_trailing_separators_are_no_fields() -> None:
    assert parse_balance(f"{PLAIN}||").warnings == ()
    assert parse_balance("Aa|KES|1.00|KES|2.00||").warnings == ("repeated_currency_layout",)
