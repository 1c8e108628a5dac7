"""Ledgers: our own format and M-PESA's statement are read alike, and what cannot be read is told whole."""

import csv
import io
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.errors import RequestRefused
from mpesa_balance.ledgers import Ledger, account_key, read_ledger

OURS = """at,account,amount,reference,remark,currency
2026-11-21T09:00:00+03:00,Working Account,1500.00,QK1,Sale,kes
2026-11-21 08:30:00,Utility Account,-250.5,QK2,"Refund, cash",
"""

#: As the portal exports it: newest first, below lines about the organisation.
STATEMENT = """Organization Name,Acme Ltd
Short Code,600000

Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,Balance,"""
STATEMENT += """Balance Confirmed,Reason Type,Other Party Info,Linked Transaction ID,A/C No.
QK4,21-11-2026 16:02:11,21-11-2026 16:02:10,Business Charge,Completed,,-60.00,"1,131,340.00",true,Charge,,,
QK3,21-11-2026 16:02:10,,Payout,Completed,,"120,000.00","1,131,400.00",true,Payout,,,
QK2,21-11-2026 12:00:00,,Payout,Failed,,"50,000.00","1,251,400.00",,Payout,,,
QK1,2026-11-21 11:00:00,,Pay Bill,Completed,"600,000.00",,"1,251,400.00",true,Pay Bill Online,,,A1
"""


def read(text: str, account: str | None = None) -> Ledger:
    return read_ledger(text.encode(), account)


def problems(text: str, account: str | None = None) -> tuple[str, ...]:
    with pytest.raises(RequestRefused) as refused:
        read(text, account)
    return refused.value.violations


def test_movements_come_in_the_order_of_their_instants_and_without_a_zone_are_of_east_africa() -> None:
    first, second = read(OURS).movements
    assert (first.at, first.account) == (datetime(2026, 11, 21, 5, 30, tzinfo=UTC), "Utility Account")
    assert (first.amount, first.currency) == (Decimal("-250.5"), None)
    assert (second.at, second.amount, second.currency) == (
        datetime(2026, 11, 21, 6, tzinfo=UTC),
        Decimal("1500.00"),
        "KES",
    )


def test_of_a_statement_what_completed_is_read_whatever_sign_a_withdrawal_has() -> None:
    found = read(STATEMENT, "Utility Account")
    assert [one.amount for one in found.movements] == [
        Decimal("600000.00"),
        Decimal("-120000.00"),
        Decimal("-60.00"),
    ]
    assert {one.account for one in found.movements} == {"Utility Account"}
    assert (found.passed_over, found.about) == (1, "Utility Account")


def test_a_statement_does_not_say_whose_it_is() -> None:
    assert "name the account" in problems(STATEMENT)[0]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_spreadsheets_separate_as_their_language_does(separator: str) -> None:
    text = OURS.replace('"Refund, cash"', "Refund").replace(",", separator)
    assert len(read("\ufeff" + text).movements) == 2


def test_every_line_that_cannot_be_read_is_told_with_its_number() -> None:
    text = (
        "At,Account,Amount\n21.11.,Working Account,5\n2026-11-21T09:00,,5\n2026-11-21T09:00,A,5k\nTotal\n"
    )
    told = problems(text)
    assert [one[:7] for one in told] == ["line 2:", "line 3:", "line 4:", "line 5:"]
    assert "is no time such as" in told[0]
    assert "account is missing" in told[1]
    assert "is no amount such as" in told[2]
    # A cell may be a customer's name.
    assert "21.11." not in str(told)


def test_of_very_many_problems_the_first_are_told_and_the_rest_counted() -> None:
    told = problems("at,account,amount\n" + "x,y,z\n" * 50)
    assert (len(told), told[-1]) == (21, "and 30 more")


def test_a_movement_that_stands_twice_is_refused_because_it_would_count_twice() -> None:
    assert "line 4: it repeats line 2" in problems(OURS + OURS.splitlines()[1] + "\n")[0]
    # The same payment, with another amount or moment, as a spreadsheet may have made of it.
    assert "it repeats line 2" in problems(OURS + "2026-11-21 09:00,working account,99,QK1,,\n")[0]


def test_a_repetition_is_found_wherever_the_account_is_said() -> None:
    text = "at,account,amount,reference\n21-11-2026 09:00:00,Utility Account,100,QK1\n"
    text += "21-11-2026 09:00:00,,100,QK1\n"
    assert "it repeats line 2" in problems(text, "utility  account")[0]


def test_what_did_not_complete_may_stand_twice() -> None:
    failed = next(line for line in STATEMENT.splitlines() if "Failed" in line)
    assert read(f"{STATEMENT}{failed}\n", "A").passed_over == 2


def test_of_a_statement_the_balance_after_it_tells_equal_payments_apart() -> None:
    line = 'QK3,21-11-2026 16:02:10,,Payout,Completed,,"120,000.00","1,251,400.00",true,Payout,,,\n'
    assert len(read(STATEMENT + line, "A").movements) == 4
    assert "it repeats line 6" in problems(STATEMENT + line.replace("1,251", "1,131"), "A")[0]


def test_two_equal_movements_without_a_reference_are_two() -> None:
    line = "2026-11-21T09:00:00+03:00,Working Account,10\n"
    assert len(read("at,account,amount\n" + line * 2).movements) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no line with the names of its columns"),
        (b"date,sum\n2026-11-21,5\n", "no line with the names of its columns"),
        ("at,account,amount\n".encode("utf-16"), "not UTF-8"),
        (b'at,account,amount\n"2026', "line 2 is no CSV"),
        (b"at,account,amount," + b"x" * 200_000, "no line with the names of its columns"),
    ],
)
def test_what_is_no_ledger_says_what_to_do(content: bytes, reason: str) -> None:
    with pytest.raises(RequestRefused, match=reason):
        read_ledger(content)


@pytest.mark.parametrize("amount", ["1e5", "NaN", "1,50", "--5", "", "5.", "1" * 20, "12,34,567"])
def test_what_is_no_plain_amount_is_refused(amount: str) -> None:
    assert "no amount" in problems(f'at,account,amount\n2026-11-21T09:00:00Z,A,"{amount}"\n')[0]


@pytest.mark.parametrize(
    "row",
    [
        "2026-11-21T09:00:00Z,A,1,500.00",
        '2026-11-21T09:00:00Z,"A,5\n2026-11-21T09:00:00Z,B"",6"\n',
    ],
)
def test_a_row_that_a_comma_or_a_quotation_mark_has_changed_is_told_of(row: str) -> None:
    assert "quotation mark" in problems(f"at,account,amount\n{row}\n")[0]


def test_an_amount_that_a_comma_has_cut_in_two_is_told_of() -> None:
    row = "2026-11-21T09:00:00Z,A,1,500.00\n"
    assert "may be cut in two" in problems("at,account,amount,reference\n" + row)[0]
    assert read("at,account,amount,reference\n2026-11-21T09:00:00Z,A,1,QK500\n").movements


@pytest.mark.parametrize(
    "line",
    [
        "QK3,21-11-2026 16:02:10,,Payout,Completed,,120,000.00,1,131,400.00,true,Payout,,,",
        "QK3,21-11-2026 16:02:10,,Payout,Completed,,120,000.00,1131400.00,true,Payout,,,",
        "QK3,21-11-2026 16:02:10,,Pay Bill,Completed,600,000.00,,,,,,,",
    ],
)
def test_an_amount_of_a_statement_that_a_comma_has_cut_in_two_is_told_of(line: str) -> None:
    """Nothing but empty cells goes beyond the columns, as in some exports all lines do."""
    assert "may be cut in two" in problems(STATEMENT.partition("QK4")[0] + line + "\n", "A")[0]


def test_an_amount_that_is_cut_in_two_is_told_of_also_where_the_next_column_has_no_name() -> None:
    text = "at,account,amount,,\n2026-11-21T09:00:00Z,A,1,500.00,\n"
    assert "may be cut in two" in problems(text)[0]


def test_where_commas_do_not_separate_they_cut_nothing() -> None:
    (found,) = read("at;account;amount;reference\n2026-11-21T09:00:00Z;A;250;101\n").movements
    assert found.amount == 250


def test_empty_cells_beyond_the_columns_do_no_harm() -> None:
    assert len(read("at,account,amount\n2026-11-21T09:00:00Z,A,1500.00,,\n").movements) == 1


def test_the_name_of_a_column_may_hold_a_comma() -> None:
    text = 'at,account,amount,"Remarks, internal"\n2026-11-21T09:00:00Z,A,5,x\n'
    assert len(read(text).movements) == 1


def test_a_file_takes_no_more_memory_for_having_many_columns() -> None:
    header = ",".join(["at,account,amount", *map(str, range(5_000))])
    tracemalloc.start()
    try:
        told = problems(header + "\n" + "x\n" * 5_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told[-1] == "and 4980 more"
    # A cell for each column of each line would take hundreds of megabytes.
    assert peak < 20_000_000


def test_lines_that_were_sorted_above_the_names_of_the_columns_are_not_lost() -> None:
    head, *lines = OURS.splitlines()
    assert "was the file sorted?" in problems("\n".join([*lines, head]))[0]


@pytest.mark.parametrize(
    ("header", "reason"),
    [("at,account,amount,Amount", "column twice: amount"), ("paid in,at", "no line with the names")],
)
def test_columns_must_be_told_apart(header: str, reason: str) -> None:
    assert reason in problems(f"{header}\n")[0]


@pytest.mark.parametrize(
    ("paid_in", "withdrawn", "status", "reason"),
    [
        ("-5.00", "", "Completed", "either an amount paid in"),
        ("5.00", "5.00", "Completed", "either an amount paid in"),
        ("0.00", "", "Completed", "either an amount paid in"),
        ("5.00", "", "", "transaction status is missing"),
    ],
)
def test_a_line_of_a_statement_that_says_nothing_clear_is_told_of(
    paid_in: str, withdrawn: str, status: str, reason: str
) -> None:
    header = "Receipt No.,Completion Time,Transaction Status,Paid In,Withdrawn\n"
    assert reason in problems(f"{header}QK1,21-11-2026 09:00:00,{status},{paid_in},{withdrawn}\n", "A")[0]


def test_a_name_plays_no_tricks_on_a_terminal() -> None:
    row = "2026-11-21T09:00:00Z,\x1b[2JWorking,5,\x1b[2J\n"
    (found,) = read("at,account,amount,currency\n" + row).movements
    assert "\x1b" not in f"{found.account}{found.currency}"


CELLS = st.sampled_from(
    ["", "A", "5", "1,500.00", "2026-11-21T09:00:00Z", "21-11-2026 09:00:00", "Completed", "Failed", "QK1"]
) | st.text(max_size=5)


@given(st.sampled_from([OURS, STATEMENT]), st.lists(st.lists(CELLS, max_size=14), max_size=6))
def test_whatever_stands_below_the_columns_is_read_or_told_of(text: str, rows: list[list[str]]) -> None:
    below = io.StringIO()
    csv.writer(below).writerows(rows)
    with suppress(RequestRefused):
        found = read(text + below.getvalue(), "A")
        assert len(found.movements) + found.passed_over >= 2
        assert all(one.at.tzinfo and one.account for one in found.movements)


@given(st.binary(max_size=300))
def test_bytes_without_the_columns_are_refused(content: bytes) -> None:
    with pytest.raises(RequestRefused):
        read_ledger(content, "A")


def test_neither_case_nor_white_space_tells_accounts_apart() -> None:
    assert account_key(" Working  ACCOUNT ") == account_key("Working Account")


def test_a_ledger_of_more_accounts_than_anybody_has_is_refused() -> None:
    lines = [f"2026-11-21T09:00:00+03:00,Account {number},1.00,{number}" for number in range(201)]
    with pytest.raises(RequestRefused, match="it names more than 200 accounts"):
        read_ledger("\n".join(["at,account,amount,reference", *lines]).encode())
    assert (
        len(read_ledger("\n".join(["at,account,amount,reference", *lines[1:]]).encode()).movements) == 200
    )
