"""A reconciliation as a file: CSV, XLSX or PDF. Amounts stay decimals, times carry their zone."""

import csv
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape

from mpesa_balance.moments import told
from mpesa_balance.reconciliation import AccountLine
from mpesa_balance.reconciliations import Reconciliation
from mpesa_balance.tabular import Cell, Kind, harmless, put

#: The columns of the accounts, in the order in which they are added up.
HEADS: Final = (
    *("Account", "Currency", "Opening", "Movements", "In", "Out", "Expected", "Closing", "Variance"),
    "Result",
)

_MISSING: Final = "not told"

#: Of the PDF, in points: A4 on its side, with room for billions.
_WIDTHS: Final = (130, 48, 82, 52, 82, 82, 82, 82, 72, 66)
_FONT_SIZE: Final = 7


def write(made: Reconciliation, ending: str) -> bytes:
    """The file for a name that ends in one of ENDINGS."""
    return _WRITERS[ending.casefold()](made)


def about(made: Reconciliation) -> Iterator[tuple[str, str]]:
    """What it is about, a line each."""
    yield "Reconciliation", str(made.id)
    yield "Shortcode", made.shortcode
    yield "Period", f"{told(made.period_from)} to {told(made.period_to)}"
    yield "Opening balance as of", f"{told(made.opening_as_of)} (query {made.opening_query})"
    yield "Closing balance as of", f"{told(made.closing_as_of)} (query {made.closing_query})"
    if made.warnings:
        yield "Odd about these balances", ", ".join(made.warnings)
    yield "Ledger", made.ledger
    outside = f"{made.left_out} outside of these balances, {made.passed_over} lines that did not complete"
    yield "Movements", f"{made.movements} counted, {outside}"
    if made.findings:
        yield "SHA-256 of the ledger", made.findings.ledger_sha256
        yield "Tolerance", str(made.findings.tolerance)
    yield "Result", summary(made)
    yield "Made by", made.made_by
    yield "Made at", told(made.made_at) if made.made_at else "not kept"


def summary(made: Reconciliation) -> str:
    """In a word, for people."""
    return "DIFFERS" if made.is_off else "agrees"


def lines(made: Reconciliation) -> Iterator[tuple[Cell, ...]]:
    """The cells of each account, in the order of HEADS."""
    for line in made.findings.lines if made.findings else ():
        amounts = (line.expected, line.closing, line.variance)
        moved = (line.movements, line.moved_in, line.moved_out)
        yield (line.account, line.currency, line.opening, *moved, *amounts, _result(line))


def shown(cell: Cell) -> str:
    """A cell as people read it."""
    return _MISSING if cell is None else f"{cell:,}" if isinstance(cell, int | Decimal) else str(cell)


def _result(line: AccountLine) -> str:
    if not line.is_covered:
        return "not in the ledger"
    return "DIFFERS" if line.is_off else "agrees"


def _csv(made: Reconciliation) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for name, value in about(made):
        writer.writerow((name, harmless(value)))
    writer.writerow(())
    writer.writerow(HEADS)
    for cells in lines(made):
        writer.writerow(map(harmless, cells))
    # Spreadsheets take a file without this mark for one of another encoding.
    return text.getvalue().encode("utf-8-sig")


def _xlsx(made: Reconciliation) -> bytes:
    # Here and not above: only whoever wants such a file needs the library.
    import xlsxwriter

    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Reconciliation")
        bold = book.add_format({"bold": True})
        formats = {Kind.AMOUNT: book.add_format({"num_format": "#,##0.00"})}
        sheet.set_column(0, len(HEADS) - 1, 18)
        for row, (name, value) in enumerate(about(made)):
            sheet.write_string(row, 0, name, bold)
            sheet.write_string(row, 1, value)
        for place, head in enumerate(HEADS):
            sheet.write_string(row + 2, place, head, bold)
        for number, cells in enumerate(lines(made), row + 3):
            for place, cell in enumerate(cells):
                put(sheet, number, place, _MISSING if cell is None else cell, formats)
    return file.getvalue()


def _pdf(made: Reconciliation) -> bytes:
    # Here and not above: only whoever wants such a file needs the library.
    from reportlab.lib import pagesizes
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

    file, styles = io.BytesIO(), getSampleStyleSheet()
    title = f"Reconciliation of shortcode {made.shortcode}"
    page = SimpleDocTemplate(
        file, title=title, pagesize=pagesizes.landscape(pagesizes.A4), leftMargin=30, rightMargin=30
    )
    head = [[name, Paragraph(escape(value), styles["BodyText"])] for name, value in about(made)]
    small = styles["BodyText"].clone("small", fontSize=_FONT_SIZE, leading=_FONT_SIZE + 2)
    # A long name is folded; an amount is never cut.
    rows = [[Paragraph(escape(shown(name)), small), *map(shown, cells)] for name, *cells in lines(made)]
    accounts = Table([HEADS, *rows], colWidths=_WIDTHS, repeatRows=1, style=_style(made))
    story = [Paragraph(escape(title), styles["Title"]), Table(head, colWidths=(130, 640)), Spacer(0, 12)]
    page.build([*story, accounts])
    return file.getvalue()


def _style(made: Reconciliation) -> list[tuple[Any, ...]]:
    from reportlab.lib import colors

    off = [
        number for number, line in enumerate(made.findings.lines if made.findings else (), 1) if line.is_off
    ]
    return [
        ("GRID", (0, 0), (-1, -1), 0.25, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
        ("FONTSIZE", (0, 0), (-1, -1), _FONT_SIZE),
        ("ALIGN", (2, 0), (-2, -1), "RIGHT"),
        *(("TEXTCOLOR", (1, number), (-1, number), colors.darkred) for number in off),
    ]


_WRITERS: Final[dict[str, Callable[[Reconciliation], bytes]]] = {".csv": _csv, ".xlsx": _xlsx, ".pdf": _pdf}

#: How the names of files end that can be written.
ENDINGS: Final = tuple(_WRITERS)
