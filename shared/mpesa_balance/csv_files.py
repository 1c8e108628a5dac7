"""CSV as spreadsheets and portals write it: the columns found, each line whole or told of. Pure."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mpesa_balance.errors import RequestRefused

#: Spreadsheets of some languages write semicolons.
_SEPARATORS: Final = (",", ";", "\t")

#: A file may have so many bytes: a million lines, about.
_MOST_BYTES: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A line below the names of the columns: its number, its cells, what is wrong with all of it."""

    number: int
    cells: tuple[str, ...]
    problem: str | None
    _columns: Mapping[str, int] = field(repr=False)

    def __getitem__(self, column: str) -> str:
        """The cell of a column that the file has; empty where the line ends before it."""
        return self._at(self._columns[column])

    def get(self, column: str) -> str:
        """The cell of a column that the file may have; empty where it has not."""
        return self[column] if column in self._columns else ""

    def after(self, column: str) -> str:
        """The cell to the right of a column's, which may have no name."""
        return self._at(self._columns[column] + 1)

    def _at(self, place: int) -> str:
        return self.cells[place] if place < len(self.cells) else ""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file with the columns of one form, separated by `separator`.

    wanted: the names that were found of those that were looked for. rows: read once, while they are
    asked for; a file may be so large that all of them at once would be too much.
    """

    wanted: tuple[str, ...]
    separator: str
    rows: Iterator[Row]


@dataclass(frozen=True, slots=True)
class _Header:
    separator: str
    names: tuple[str, ...]
    wanted: tuple[str, ...]


def read_csv(content: bytes, looked_for: Sequence[tuple[str, ...]]) -> CsvFile:
    """The lines of a file that has the columns of one of several forms.

    Names of columns are compared without case. Raises RequestRefused where the file has no such columns;
    its rows do where they are no CSV any more.
    """
    text = _text(content)
    header = _header(text, looked_for)
    return CsvFile(header.wanted, header.separator, _rows(text, header))


def _rows(text: str, header: _Header) -> Iterator[Row]:
    columns = {name: place for place, name in enumerate(header.names)}
    for number, cells in _below(text, header):
        yield Row(number, cells, _problem(cells, header), columns)


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
    for line in io.StringIO(text, newline=""):
        lowered = line.casefold()
        for wanted in looked_for:
            if all(name in lowered for name in wanted):
                for separator in _SEPARATORS:
                    names = _names(lowered, separator)
                    if set(wanted) <= set(names):
                        return _unique(_Header(separator, names, wanted))
    forms = " or ".join(", ".join(wanted) for wanted in looked_for)
    raise RequestRefused([f"the file has no line with the names of its columns: {forms}"])


def _names(line: str, separator: str) -> tuple[str, ...]:
    try:
        return tuple(cell.strip() for cell in next(csv.reader([line], delimiter=separator), []))
    except csv.Error:
        # A cell of more than 128 KiB is the name of no column.
        return ()


def _unique(header: _Header) -> _Header:
    twice = {name for name in header.names if name and header.names.count(name) > 1}
    if twice:
        raise RequestRefused([f"the file has a column twice: {', '.join(sorted(twice))}"])
    return header


def _below(text: str, header: _Header) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The lines below the names; a line above them that looks like one of these is refused."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.separator, strict=True)
    is_below = False
    try:
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
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
