"""Setting balances against the book at the command line, and looking at what came of it."""

from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import click

from mpesa_balance import audit, reconciliations
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.cli.files import private_file
from mpesa_balance.cli.times import at_or_ago
from mpesa_balance.ledgers import read_ledger
from mpesa_balance.reconciled_periods import Wanted
from mpesa_balance.reconciliation import period_problem, read_tolerance
from mpesa_balance.reconciliation_reports import ENDINGS, HEADS, about, lines, shown, summary, write
from mpesa_balance.reconciliations import Book, Reconciliation
from mpesa_balance.results import EAST_AFRICA
from mpesa_balance.texts import printable

#: What a script sees where a variance is beyond the tolerance, as where a query failed.
EXIT_DIFFERS: Final = 3

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


def _tolerance(ctx: click.Context, param: click.Parameter, value: str) -> Decimal:
    try:
        return read_tolerance(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[datetime, datetime] | None:
    """Its beginning and its end, in East Africa."""
    if value is None:
        return None
    try:
        begins = datetime.combine(date.fromisoformat(value), time(), EAST_AFRICA)
        return begins, begins + timedelta(days=1)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no day: write 2026-11-21", ctx, param) from None


def _files(ctx: click.Context, param: click.Parameter, value: tuple[Path, ...]) -> tuple[Path, ...]:
    if wrong := [one for one in value if one.suffix.casefold() not in ENDINGS]:
        raise click.BadParameter(f"{wrong[0]} must end in one of {', '.join(ENDINGS)}", ctx, param)
    return value


_OUT: Final = click.option(
    "--out",
    "files",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_files,
    multiple=True,
    metavar="FILE",
    help=f"Write it to FILE too, which ends in one of {', '.join(ENDINGS)}; more than once for several.",
)


@click.command()
@click.argument("shortcode")
@click.option("--ledger", "path", type=_FILE, required=True, help="The book's movements, as CSV.")
@click.option("--account", help="Whose movements they are, where the lines do not say.")
@click.option("--day", callback=_day, metavar="DAY", help="A day in East Africa, such as 2026-11-21.")
@click.option("--from", "begins", callback=at_or_ago, metavar="TIME", help="Such as 2026-11-01 or 7d.")
@click.option("--to", "ends", callback=at_or_ago, metavar="TIME", help="Such as 2026-12-01 or 0m.")
@click.option(
    "--tolerance", callback=_tolerance, default="0", show_default=True, help="What may differ, per account."
)
@_OUT
@output.as_json
def reconcile(
    shortcode: str,
    path: Path,
    account: str | None,
    tolerance: Decimal,
    files: tuple[Path, ...],
    json_output: bool,
    **period: Any,
) -> None:
    """Set the balances of SHORTCODE against the book, and keep what came of it.

    The last balance up to the beginning of the period, and the movements of the ledger from then until
    the last balance of the period, give what should be there. The exit code is 3 where an account
    differs by more than the tolerance. The ledger's formats: ops/docs/reconciliation.md.
    """
    if path.resolve() in [file.resolve() for file in files]:
        raise click.UsageError(f"{path} is the ledger: write the report to another file")
    begins, ends = _period(**period)
    wanted = Wanted(shortcode=shortcode, begins=begins, ends=ends, tolerance=tolerance)
    content = path.read_bytes()
    book = Book(name=printable(path.name), content=content, ledger=read_ledger(content, account))
    with closing(stores.database()) as database, database.transaction() as connection:
        made = reconciliations.make(connection, database.sealer, wanted, book, actor())
        made = reconciliations.keep(connection, database.sealer, made)
        audit.add(connection, actor(), Action.RECONCILED, shortcode, f"reconciliation {made.id}")
    _tell(made, files, json_output)
    if made.is_off:
        click.get_current_context().exit(EXIT_DIFFERS)


def _period(
    day: tuple[datetime, datetime] | None, begins: datetime | None, ends: datetime | None
) -> tuple[datetime, datetime]:
    if (day is None) == (begins is None and ends is None):
        raise click.UsageError("say which period: --day DAY, or --from TIME and --to TIME")
    begins, ends = day or (begins, ends)
    if problem := period_problem(begins, ends, datetime.now(UTC)):
        raise click.UsageError(f"{problem} (--from TIME --to TIME; --to 0m is now)")
    return cast("datetime", begins), cast("datetime", ends)


@click.group("reconciliations")
def reconciliations_group() -> None:
    """What came of setting balances against the book."""


@reconciliations_group.command("list")
@click.option("--shortcode", help="Of this one only.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@output.as_json
def list_reconciliations(shortcode: str | None, limit: int, json_output: bool) -> None:
    """List them, newest first, without amounts."""
    with stores.database().transaction() as connection:
        found = reconciliations.listed(connection, [shortcode] if shortcode else None, limit)
    columns = ("Id", "Shortcode", "From", "To", "Ledger", "Result", "Made by")
    documents = [one.document() for one in found]
    output.write_list(columns, [_row(one) for one in found], documents, json_output)


@reconciliations_group.command("show")
@click.argument("reconciliation_id", type=click.UUID)
@_OUT
@output.as_json
def show_reconciliation(reconciliation_id: UUID, files: tuple[Path, ...], json_output: bool) -> None:
    """Show one with its amounts."""
    with closing(stores.database()) as database, database.transaction() as connection:
        found = reconciliations.shown(connection, database.sealer, reconciliation_id)
        detail = f"reconciliation {found.id}"
        audit.add(connection, actor(), Action.RECONCILIATION_SHOWN, found.shortcode, detail)
    _tell(found, files, json_output)


def _tell(made: Reconciliation, files: tuple[Path, ...], json_output: bool) -> None:
    # Before any file: it is kept, whatever the disk says.
    if json_output:
        output.write_json(made.document())
    else:
        output.write_table(("What", "Told"), list(about(made)))
        output.write_table(HEADS, [[shown(cell) for cell in cells] for cells in lines(made)])
    for file in files:
        content = write(made, file.suffix)
        with private_file(file) as written:
            written.write(content)


def _row(one: Reconciliation) -> tuple[str, ...]:
    period = output.moment(one.period_from), output.moment(one.period_to)
    return (str(one.id), one.shortcode, *period, one.ledger, summary(one), one.made_by)


COMMANDS: Final[tuple[Any, ...]] = (reconcile, reconciliations_group)
