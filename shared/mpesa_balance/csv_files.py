"""CSV as spreadsheets and portals write it: the columns found, each line whole or told of. Pure."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mpesa_balance.errors import RequestRefused

#: Spreadsheets of some languages write semicolons.
_SEPARATORS: Final = (",", ";", "\t")

#: A file may have so many bytes: a million lines, about.
_MOST_BYTES: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class CsvFile:
    """The lines below the names of the columns, with their numbers; and what was wrong with others.

    wanted: the names that were found of those that were looked for.
    """

    wanted: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Header:
    separator: str
    names: tuple[str, ...]
    wanted: tuple[str, ...]


def read_csv(content: bytes, looked_for: Sequence[tuple[str, ...]]) -> CsvFile:
    """The lines of a file that has the columns of one of several forms.

    Names of columns are compared without case. Raises RequestRefused where the file has no such columns.
    """
    text = _text(content)
    header = _header(text, looked_for)
    rows: list[tuple[int, dict[str, str]]] = []
    problems: list[str] = []
    for number, cells in _below(text, header):
        if (problem := _problem(cells, header)) is not None:
            problems.append(f"line {number}: {problem}")
        else:
            rows.append(
                (number, dict.fromkeys(header.names, "") | dict(zip(header.names, cells, strict=False)))
            )
    return CsvFile(header.wanted, tuple(rows), tuple(problems))


def _text(content: bytes) -> str:
    if len(content) > _MOST_BYTES:
        raise RequestRefused([f"the file is larger than {_MOST_BYTES:,} bytes: split it"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestRefused(
            [f"the file is not UTF-8 at byte {error.start}: save it as CSV UTF-8"]
        ) from None


def _header(text: str, looked_for: Sequence[tuple[str, ...]]) -> _Header:
    for line in text.splitlines():
        for separator in _SEPARATORS:
            names = tuple(cell.strip().strip('"').casefold() for cell in line.split(separator))
            for wanted in looked_for:
                if set(wanted) <= set(names):
                    return _unique(_Header(separator, names, wanted))
    forms = " or ".join(", ".join(wanted) for wanted in looked_for)
    raise RequestRefused([f"the file has no line with the names of its columns: {forms}"])


def _unique(header: _Header) -> _Header:
    twice = {name for name in header.names if name and header.names.count(name) > 1}
    if twice:
        raise RequestRefused([f"the file has a column twice: {', '.join(sorted(twice))}"])
    return header


def _below(text: str, header: _Header) -> Iterator[tuple[int, list[str]]]:
    """The lines below the names; a line above them that looks like one of these is refused."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.separator, strict=True)
    is_below = False
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if is_below and any(stripped):
                yield reader.line_num, stripped
            elif tuple(cell.casefold() for cell in stripped) == header.names:
                is_below = True
            elif len([cell for cell in stripped if cell]) >= len(header.wanted):
                raise RequestRefused(
                    [f"line {reader.line_num} stands above the names of the columns: was the file sorted?"]
                )
    except csv.Error as error:
        raise RequestRefused([f"line {reader.line_num} is no CSV: {error}"]) from None


def _problem(cells: Sequence[str], header: _Header) -> str | None:
    if any("\n" in cell or "\r" in cell for cell in cells):
        return "a quotation mark is missing in it or before it: it goes on in the next line"
    if any(cells[len(header.names) :]):
        return 'it has more cells than there are columns: put "1,500.00" into quotation marks'
    return None
