"""Reconciliations at the command line: made of what M-PESA told and a file, kept, shown, written down."""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.conftest import SHORTCODE, open_query
from tests.integration.answers import begin, record, row, rows, success
from tests.integration.commanding import command
from worker.house import House

OPENING = "Working Account|KES|1000.00|900.00|100.00|0.00&Utility Account|KES|50.00|50.00|0.00|0.00"
CLOSING = "Working Account|KES|1300.00|1300.00|0.00|0.00&Utility Account|KES|20.00|20.00|0.00|0.00"

LEDGER = """at,account,amount,reference
2026-11-20T08:00:00+03:00,Working Account,77.00,A0
2026-11-21T09:00:00+03:00,Working Account,400.00,A1
2026-11-21T10:00:00+03:00,Working Account,-100.00,A2
2026-11-21T11:00:00+03:00,utility  account,-30.00,=A3
"""

pytestmark = pytest.mark.usefixtures("as_alice")


@pytest.fixture
def balances(house: House) -> None:
    """Two, as M-PESA told them a minute before the day began and in its evening."""
    for time, balance in (("20261120235900", OPENING), ("20261121210000", CLOSING)):
        query_id = open_query(house.database)
        record(house, begin(house, query_id), success(balance).replace(b"20261122120000", time.encode()))


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "book.csv"
    path.write_text(LEDGER)
    return path


def reconcile(ledger: Path, *more: str) -> Result:
    return command("reconcile", SHORTCODE, "--ledger", str(ledger), "--day", "2026-11-21", *more)


def made(ledger: Path, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reconcile(ledger, "--json", *more).stdout)
    return found


@pytest.mark.usefixtures("balances")
def test_a_day_that_agrees_is_shown_kept_and_written_into_the_audit(house: House, ledger: Path) -> None:
    done = reconcile(ledger)
    assert done.exit_code == 0, done.output
    assert "1,300.00" in done.stdout
    kept = row(
        house, "SELECT id, shortcode, ledger, movements, left_out, is_off, made_by FROM reconciliations"
    )
    assert kept.pop("made_by").startswith("cli:alice")
    assert kept | {"id": None} == {
        "id": None,
        "shortcode": SHORTCODE,
        "ledger": "book.csv",
        "movements": 3,
        "left_out": 1,
        "is_off": False,
    }
    told = row(house, "SELECT action, subject, detail FROM audit")
    assert told == {
        "action": "reconciled",
        "subject": SHORTCODE,
        "detail": f"reconciliation {kept['id']}",
    }


@pytest.mark.usefixtures("balances")
def test_what_differs_ends_with_three_and_names_the_account(ledger: Path) -> None:
    ledger.write_text(LEDGER.replace("400.00", "399.00"))
    done = reconcile(ledger, "--json")
    assert done.exit_code == 3
    working, utility = json.loads(done.stdout)["lines"]
    assert (working["variance"], working["is_off"], utility["is_off"]) == ("1.00", True, False)
    assert reconcile(ledger, "--tolerance", "1").exit_code == 0


@pytest.mark.usefixtures("balances")
def test_what_was_kept_is_shown_again_whole(ledger: Path) -> None:
    told = made(ledger)
    shown = json.loads(command("reconciliations", "show", told["id"], "--json").stdout)
    assert shown == told
    assert datetime.fromisoformat(shown["opening_as_of"]) == datetime(2026, 11, 20, 20, 59, tzinfo=UTC)
    assert shown["lines"][0]["opening"] == "1000.00"


@pytest.mark.usefixtures("balances")
def test_the_list_holds_no_amount(ledger: Path) -> None:
    told = made(ledger)
    (listed,) = json.loads(command("reconciliations", "list", "--json").stdout)
    assert listed == {
        name: value for name, value in told.items() if name not in ("lines", "tolerance", "ledger_sha256")
    }
    assert "agrees" in command("reconciliations", "list", "--shortcode", SHORTCODE).stdout
    assert json.loads(command("reconciliations", "list", "--shortcode", "600001", "--json").stdout) == []


@pytest.mark.usefixtures("balances")
def test_no_amount_is_in_the_table_in_the_clear(house: House, ledger: Path) -> None:
    made(ledger)
    (stored,) = rows(house, "SELECT r::text AS row, document FROM reconciliations r")
    told = stored["row"].encode() + bytes(stored["document"])
    assert not [amount for amount in (b"1000.00", b"1300.00", b"400.00", b"Working") if amount in told]


@pytest.mark.usefixtures("balances")
def test_it_is_written_to_files_of_every_kind(ledger: Path, tmp_path: Path) -> None:
    ledger.write_text(LEDGER.replace("utility  account", "=Utility"))
    files = [tmp_path / f"out.{ending}" for ending in ("csv", "xlsx", "PDF")]
    assert reconcile(ledger, *(part for file in files for part in ("--out", str(file)))).exit_code == 3
    cells = list(csv.reader(io.StringIO(files[0].read_text("utf-8-sig"))))
    accounts = {line[0]: line for line in cells[cells.index([]) + 2 :]}
    assert accounts["Working Account"][2:9] == [
        *("1000.00", "2", "400.00", "-100.00", "1300.00", "1300.00", "0.00")
    ]
    # What a spreadsheet would calculate is a text.
    assert "'=Utility" in accounts
    with zipfile.ZipFile(files[1]) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "<v>1300.00</v>" in sheet
    assert files[2].read_bytes().startswith(b"%PDF-")


@pytest.mark.usefixtures("balances")
def test_a_file_of_another_kind_is_refused_before_anything_is_kept(
    house: House, ledger: Path, tmp_path: Path
) -> None:
    done = reconcile(ledger, "--out", str(tmp_path / "out.doc"))
    assert done.exit_code == 2
    assert ".csv, .xlsx, .pdf" in done.output
    assert rows(house, "SELECT FROM reconciliations UNION ALL SELECT FROM audit") == []


@pytest.mark.usefixtures("balances")
def test_the_ledger_is_not_written_over(ledger: Path) -> None:
    assert reconcile(ledger, "--out", str(ledger)).exit_code == 2
    assert ledger.read_text() == LEDGER


@pytest.mark.usefixtures("balances")
def test_a_disk_that_takes_no_file_takes_nothing_of_what_is_kept(house: House, ledger: Path) -> None:
    done = reconcile(ledger, "--json", "--out", str(ledger.parent / "nowhere" / "out.csv"))
    assert done.exit_code == 5
    assert json.loads(done.stdout)["id"] == str(row(house, "SELECT id FROM reconciliations")["id"])


@pytest.mark.usefixtures("balances")
def test_a_statement_is_held_against_its_own_account(ledger: Path) -> None:
    ledger.write_text(
        "Organization Name,Acme\nReceipt No.,Completion Time,Transaction Status,Paid In,Withdrawn\n"
        "QK1,21-11-2026 11:00:00,Completed,,30.00\nQK2,21-11-2026 11:00:00,Failed,5.00,\n"
    )
    assert "name the account" in reconcile(ledger).output
    done = reconcile(ledger, "--account", "utility account", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [(one["is_covered"], one["is_off"]) for one in told["lines"]] == [(False, False), (True, False)]
    assert (told["movements"], told["passed_over"]) == (1, 1)


@pytest.mark.usefixtures("balances")
def test_a_balance_of_no_known_time_is_not_used_and_what_is_odd_is_told(house: House, ledger: Path) -> None:
    odd = CLOSING.replace("1300.00|1300.00", "1300.00|1299.00")
    for balance, time in ((odd, b"20261121220000"), (OPENING, b'"soon"')):
        query_id = open_query(house.database)
        record(house, begin(house, query_id), success(balance).replace(b"20261122120000", time))
    rows(
        house, "UPDATE balances SET as_of = '2026-11-21T20:00Z' WHERE as_of > '2026-11-22' RETURNING as_of"
    )
    told = made(ledger)
    assert told["closing_as_of"] == "2026-11-21T19:00:00+00:00"
    assert told["warnings"] == ["available_mismatch"]
    assert "available_mismatch" in command("reconciliations", "show", told["id"]).stdout


@pytest.mark.parametrize(
    ("period", "reason"),
    [
        (
            ("--day", "2026-11-20"),
            "no balance at or before 2026-11-20 00:00:00 EAT: its first is of",
        ),
        (("--day", "2026-11-22"), "no balance after 2026-11-21 21:00:00 EAT up to 2026-11-23 00:00:00 EAT"),
        (("--from", "2026-11-21", "--to", "2026-11-21T12:00"), "no balance after 2026-11-20 23:59:00 EAT"),
    ],
)
@pytest.mark.usefixtures("balances")
def test_without_two_balances_it_says_what_is_missing(
    ledger: Path, period: tuple[str, ...], reason: str
) -> None:
    done = command("reconcile", SHORTCODE, "--ledger", str(ledger), *period)
    assert done.exit_code == 5
    assert reason in done.output


@pytest.mark.parametrize(
    ("shortcode", "reason"), [(SHORTCODE, "has no balance yet"), ("699999", "is not registered")]
)
@pytest.mark.usefixtures("house")
def test_a_shortcode_without_a_balance_is_told_of(ledger: Path, shortcode: str, reason: str) -> None:
    done = command("reconcile", shortcode, "--ledger", str(ledger), "--day", "2026-11-21")
    assert done.exit_code == 5
    assert reason in done.output


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--day", "21.11."),
        ("--day", "9999-12-31"),
        ("--day", "2100-01-01"),
        ("--day", "2026-11-21", "--from", "1d"),
        ("--from", "1d"),
        ("--from", "1d", "--to", "2d"),
        ("--day", "2026-11-21", "--tolerance", "-1"),
        ("--day", "2026-11-21", "--tolerance", "NaN"),
    ],
)
def test_a_wrong_command_line_ends_with_two(ledger: Path, wrong: tuple[str, ...]) -> None:
    assert command("reconcile", SHORTCODE, "--ledger", str(ledger), *wrong).exit_code == 2


@pytest.mark.usefixtures("balances")
def test_a_ledger_that_cannot_be_read_keeps_nothing(house: House, ledger: Path) -> None:
    ledger.write_text(LEDGER + "2026-11-21T12:00,Working Account,many,A4\n")
    done = reconcile(ledger)
    assert done.exit_code == 5
    assert "line 6: its amount is no amount" in done.output
    assert rows(house, "SELECT FROM reconciliations") == []
