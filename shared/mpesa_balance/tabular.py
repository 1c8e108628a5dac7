"""Tables as files: CSV, XLSX, Parquet and JSON, row by row. Amounts stay decimals, times have a zone."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import IO, Any, Final, NamedTuple

from mpesa_balance.errors import RequestRefused

#: What a cell may be: texts, amounts, instants that are aware, whole numbers, yes and no; None for nothing.
Cell = str | Decimal | datetime | int | bool | None


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    AMOUNT = "amount"
    INSTANT = "instant"
    WHOLE = "whole"
    FLAG = "flag"


class Column(NamedTuple):
    """A column's name and what it holds."""

    name: str
    kind: Kind = Kind.TEXT


Row = Sequence[Cell]

#: Where a spreadsheet begins to calculate: a text that comes from elsewhere must not.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

#: A spreadsheet keeps no more digits of a number; an amount that has more is a text there.
_MOST_DIGITS: Final = 15

#: So many rows go into one sheet; the format has room for 1,048,576.
_MOST_ROWS: Final = 1_000_000

#: So many rows go into one group of a Parquet file.
_GROUP: Final = 10_000

#: M-PESA's amounts have two digits behind the point, and may have six; before it, 18.
_PRECISION: Final = (24, 6)


def write(file: IO[bytes], ending: str, columns: Sequence[Column], rows: Iterable[Row]) -> int:
    """Write rows as the kind of file whose names end so, one of ENDINGS; give how many they were.

    Raises RequestRefused where a kind needs what is not installed.
    """
    counted = _Counted(rows)
    _WRITERS[ending.casefold()](file, columns, counted)
    return counted.count


def harmless(cell: Any) -> Any:
    """A cell as CSV may have it: nothing that a spreadsheet would calculate."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    if isinstance(cell, datetime):
        return cell.isoformat()
    return "" if cell is None else cell


class _Counted:
    """Rows, and how many of them were taken."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


def _csv(file: IO[bytes], columns: Sequence[Column], rows: Iterable[Row]) -> None:
    # Spreadsheets take a file without the mark at its beginning for one of another encoding.
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    writer = csv.writer(text)
    writer.writerow(column.name for column in columns)
    for row in rows:
        writer.writerow(map(harmless, row))
    text.flush()
    # The file is its opener's to close.
    text.detach()


def _json(file: IO[bytes], columns: Sequence[Column], rows: Iterable[Row]) -> None:
    file.write(b"[")
    for number, line in enumerate(_documents(columns, rows)):
        file.write((",\n" if number else "\n").encode() + line)
    file.write(b"\n]\n")


def _json_lines(file: IO[bytes], columns: Sequence[Column], rows: Iterable[Row]) -> None:
    for line in _documents(columns, rows):
        file.write(line + b"\n")


def _documents(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[bytes]:
    names = [column.name for column in columns]
    for row in rows:
        yield json.dumps(dict(zip(names, map(plain, row), strict=True)), ensure_ascii=False).encode()


def plain(cell: Cell) -> str | int | bool | None:
    """A cell as JSON may have it: amounts as decimal strings, instants in ISO 8601."""
    if isinstance(cell, Decimal):
        return str(cell)
    return cell.isoformat() if isinstance(cell, datetime) else cell


def _xlsx(file: IO[bytes], columns: Sequence[Column], rows: Iterable[Row]) -> None:
    # Here and not above: only whoever wants such a file needs the library.
    import xlsxwriter

    remaining, left = iter(rows), True
    # Each row is written as it comes.
    with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
        formats = {
            Kind.AMOUNT: book.add_format({"num_format": "#,##0.00"}),
            # A spreadsheet has no zones, so the column's name says which it is.
            Kind.INSTANT: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        while left:
            sheet = book.add_worksheet()
            for place, column in enumerate(columns):
                zone = " (UTC)" if column.kind is Kind.INSTANT else ""
                sheet.write_string(0, place, column.name + zone)
            number = 0
            for number, row in enumerate(islice(remaining, _MOST_ROWS), 1):
                for place, cell in enumerate(row):
                    put(sheet, number, place, cell, formats)
            left = number == _MOST_ROWS


def put(sheet: Any, row: int, place: int, cell: Cell, formats: dict[Kind, Any]) -> None:
    """Write one cell of a sheet, as what it is."""
    if isinstance(cell, bool):
        sheet.write_boolean(row, place, cell)
    elif isinstance(cell, Decimal) and len(cell.as_tuple().digits) <= _MOST_DIGITS:
        sheet.write_number(row, place, cell, formats[Kind.AMOUNT])
    elif isinstance(cell, int):
        sheet.write_number(row, place, cell)
    elif isinstance(cell, datetime):
        local = cell.astimezone(UTC).replace(tzinfo=None)
        sheet.write_datetime(row, place, local, formats[Kind.INSTANT])
    elif cell is not None:
        sheet.write_string(row, place, str(cell))


def _parquet(file: IO[bytes], columns: Sequence[Column], rows: Iterable[Row]) -> None:
    try:
        # Here and not above: it is large, and only whoever wants such a file needs it.
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise RequestRefused(
            ["Parquet needs pyarrow: pip install 'mpesa-balance[parquet]', or write .csv or .jsonl"]
        ) from None
    kinds = {
        Kind.TEXT: pa.string(),
        Kind.AMOUNT: pa.decimal128(*_PRECISION),
        Kind.INSTANT: pa.timestamp("us", tz="UTC"),
        Kind.WHOLE: pa.int64(),
        Kind.FLAG: pa.bool_(),
    }
    schema = pa.schema([(column.name, kinds[column.kind]) for column in columns])
    remaining = iter(rows)
    with parquet.ParquetWriter(file, schema) as writer:  # type: ignore[no-untyped-call]
        while group := list(islice(remaining, _GROUP)):
            arrays = [
                pa.array(cells, field.type)
                for cells, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


_WRITERS: Final[dict[str, Callable[[IO[bytes], Sequence[Column], Iterable[Row]], None]]] = {
    ".csv": _csv,
    ".xlsx": _xlsx,
    ".parquet": _parquet,
    ".json": _json,
    ".jsonl": _json_lines,
}

#: How the names of files end that can be written.
ENDINGS: Final = tuple(_WRITERS)
