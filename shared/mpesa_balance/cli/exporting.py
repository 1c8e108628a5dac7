"""Balances and queries as files: CSV, XLSX, Parquet and JSON."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from mpesa_balance import audit, tabular
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.cli.files import private_file
from mpesa_balance.cli.times import at_or_ago
from mpesa_balance.exports import EXPORTS, Selection


def _file(ctx: click.Context, param: click.Parameter, value: Path) -> Path:
    if value.suffix.casefold() not in tabular.ENDINGS:
        raise click.BadParameter(f"{value} must end in one of {', '.join(tabular.ENDINGS)}", ctx, param)
    return value


@click.command()
@click.argument("what", type=click.Choice(list(EXPORTS)))
@click.option(
    "--out",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    callback=_file,
    help=f"Its name says the kind: {', '.join(tabular.ENDINGS)}.",
)
@click.option("--shortcode", help="Of this one only.")
@click.option("--since", callback=at_or_ago, metavar="TIME", help="Such as 2026-11-01 or 30d.")
@click.option("--to", "until", callback=at_or_ago, metavar="TIME", help="Up to, and without, this instant.")
@output.as_json
def export(
    what: str,
    path: Path,
    shortcode: str | None,
    since: datetime | None,
    until: datetime | None,
    json_output: bool,
) -> None:
    """Write all balances, a row for each account, or all queries into a file.

    By shortcode, the newest first. Amounts are decimals and instants carry their zone. The file is for
    its owner alone, and takes the place of what was there once it is whole.
    """
    only = None if shortcode is None else (shortcode,)
    chosen, selection = EXPORTS[what], Selection(shortcodes=only, since=since, until=until)
    with closing(stores.database()) as database:
        with database.transaction() as connection:
            # Before anything is given out.
            detail = f"{what} into {path.name}"
            audit.add(connection, actor(), Action.EXPORTED, shortcode or "all shortcodes", detail)
        with database.transaction() as connection, private_file(path) as file:
            rows = chosen.rows(connection, database.sealer, selection)
            count = tabular.write(file, path.suffix, chosen.columns, rows)
    document = {"what": what, "file": str(path), "rows": count}
    output.report(f"{count} rows are in {path}.", document, json_output)


COMMANDS: Final[tuple[Any, ...]] = (export,)
