"""Tables as files: what goes in comes out again, whatever kind of file it is."""

import csv
import io
import json
import re
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from pyarrow import parquet

from mpesa_balance import tabular
from mpesa_balance.tabular import Column, Kind, Row

COLUMNS = (
    Column("name"),
    Column("amount", Kind.AMOUNT),
    Column("at", Kind.INSTANT),
    Column("count", Kind.WHOLE),
    Column("late", Kind.FLAG),
)

NAIROBI = timezone(timedelta(hours=3))
AT = datetime(2026, 11, 21, 9, 30, tzinfo=NAIROBI)

ROWS: list[Row] = [
    ("Working, Account", Decimal("-1234567890123456.78"), AT, 3, True),
    ("=1+1", Decimal("0.10"), AT, 0, False),
    (None, None, None, None, None),
]


def written(ending: str, rows: list[Row] | None = None) -> bytes:
    file = io.BytesIO()
    assert tabular.write(file, ending, COLUMNS, ROWS if rows is None else rows) == len(
        ROWS if rows is None else rows
    )
    return file.getvalue()


def test_csv_keeps_every_digit_and_every_zone_and_calculates_nothing() -> None:
    found = list(csv.reader(io.StringIO(written(".csv").decode("utf-8-sig"))))
    assert found == [
        ["name", "amount", "at", "count", "late"],
        ["Working, Account", "-1234567890123456.78", "2026-11-21T09:30:00+03:00", "3", "True"],
        ["'=1+1", "0.10", "2026-11-21T09:30:00+03:00", "0", "False"],
        ["", "", "", "", ""],
    ]


@pytest.mark.parametrize("ending", [".json", ".JSONL"])
def test_json_has_amounts_as_decimal_strings(ending: str) -> None:
    content = written(ending)
    found = json.loads(content) if ending == ".json" else [*map(json.loads, content.splitlines())]
    assert found[0] == {
        "name": "Working, Account",
        "amount": "-1234567890123456.78",
        "at": "2026-11-21T09:30:00+03:00",
        "count": 3,
        "late": True,
    }
    assert found[2] == dict.fromkeys(found[0])


def test_parquet_has_decimals_and_instants_of_its_own() -> None:
    first, second, nothing = parquet.read_table(io.BytesIO(written(".parquet"))).to_pylist()
    assert (first["amount"], second["amount"]) == (Decimal("-1234567890123456.78"), Decimal("0.10"))
    assert (first["at"], first["count"], first["late"]) == (AT.astimezone(UTC), 3, True)
    assert set(nothing.values()) == {None}


def test_a_spreadsheet_has_numbers_and_no_formula_and_rounds_no_amount() -> None:
    with zipfile.ZipFile(io.BytesIO(written(".xlsx"))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "=1+1" in sheet
    assert "<v>0.10</v>" in sheet
    assert "-1234567890123456.78" in sheet
    # 06:30 UTC, as spreadsheets count days.
    days = (AT - datetime(1899, 12, 30, tzinfo=UTC)) / timedelta(days=1)
    assert float(re.findall(r"<v>(4\d{4}\.\d+)</v>", sheet)[0]) == pytest.approx(days)


def test_what_fits_into_no_sheet_goes_on_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "_MOST_ROWS", 2)
    with zipfile.ZipFile(io.BytesIO(written(".xlsx"))) as book:
        sheets = [name for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
    assert len(sheets) == 2


@pytest.mark.parametrize("ending", tabular.ENDINGS)
def test_nothing_is_a_file_as_well(ending: str) -> None:
    # Of lines there are none; every other kind has at least a frame.
    assert bool(written(ending, [])) == (ending != ".jsonl")
