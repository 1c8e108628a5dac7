"""Retention at the command line: removing what ended long ago, and reading the archives of it."""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from mpesa_balance import archives, audit, retention
from mpesa_balance.archives import Archive
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.database import Database

#: What a script sees where a line of an archive cannot be read.
EXIT_DAMAGED: Final = 1

_FILES: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_MOST_DAYS: Final = 36_500


@click.command()
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(min=1, max=_MOST_DAYS),
    metavar="DAYS",
    required=True,
    help="What ended longer ago than so many days, by the database clock.",
)
@click.option(
    "--archive",
    "directory",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    metavar="DIR",
    envvar="ARCHIVE_DIR",
    help="The directory for the archive; ARCHIVE_DIR where that is set.",
)
@click.option("--dry-run", is_flag=True, help="Say how much may go, and change nothing.")
@output.as_json
def prune(days: int, directory: Path | None, dry_run: bool, json_output: bool) -> None:
    """Archive, and then remove, what ended long ago, while the system runs.

    Queries go with their requests, attempts, callbacks, balances and all that was told of them; so do
    refused requests, callbacks without a query, and alerts that are over. Whatever is open or waits stays,
    and the newest balance of each shortcode, the audit and the quarantine.

    Each batch is on disk, sealed, before it is removed: it may be killed at any point, and begun again.
    """
    with closing(stores.database()) as database:
        if dry_run:
            _tell_due(days, retention.due(database, days), json_output)
            return
        if directory is None:
            raise click.UsageError("say where the archive goes: --archive DIR")
        with closing(Archive(directory.absolute(), database.sealer)) as archive:
            removed = _removed(database, archive, days)
    document = {
        "older_than_days": days,
        "archive": str(archive.path) if archive.batches else None,
        "batches": archive.batches,
        "bytes": archive.size,
        "removed": dict(removed),
    }
    if json_output:
        output.write_json(document)
    elif removed:
        output.write_table(("Table", "Rows removed"), _counted(removed))
        click.echo(f"They are in {archive.path} ({archive.size} bytes).")
    else:
        click.echo(f"Nothing that may go ended more than {days} days ago.")


def _removed(database: Database, archive: Archive, days: int) -> Counter[str]:
    removed: Counter[str] = Counter()
    with output.Progress("looking for what ended long ago") as progress:
        for pruned in retention.prune(database, archive, days, actor()):
            removed.update(pruned.rows)
            progress.show(f"batch {archive.batches}: {removed.total()} rows are archived and removed")
    return removed


def _tell_due(days: int, due: Mapping[str, int], json_output: bool) -> None:
    if json_output:
        output.write_json({"older_than_days": days, "dry_run": True, "due": dict(due)})
    else:
        output.write_table(("Table", "Rows that may go, with what hangs on them"), _counted(due))


def _counted(rows: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(table, str(count)) for table, count in rows.items()]


@click.group("archive")
def archive_group() -> None:
    """What `prune` has removed, in the files that it went to."""


@archive_group.command("show")
@click.argument("files", type=_FILES, nargs=-1, required=True)
def show_archive(files: tuple[Path, ...]) -> None:
    """Write the rows in FILES, which hold balances: a line of JSON each, {"table": ..., "row": {...}}.

    A row that was archived more than once is written once, as it was last; name the files in the order of
    their names. Lines that cannot be read are told on standard error, and the exit code is 1.
    """
    problems: list[str] = []

    def tell(problem: str) -> None:
        problems.append(problem)
        click.echo(f"Cannot be read: {problem}", err=True)

    with closing(stores.database()) as database:
        _write_down(database, Action.ARCHIVE_SHOWN, files)
        for table, row in archives.rows(database.sealer, files, tell):
            click.echo(json.dumps({"table": table, "row": row}))
    _end(bool(problems))


@archive_group.command("reseal")
@click.argument("files", type=_FILES, nargs=-1, required=True)
@output.as_json
def reseal_archive(files: tuple[Path, ...], json_output: bool) -> None:
    """Seal FILES anew with the first key of SEALING_KEYS, so that older keys are not needed for them.

    Each file is replaced when all of it is on disk. What does not open stays in it as it is, and the exit
    code is 1.
    """
    with closing(stores.database()) as database:
        done = [(path, _resealed(database, path)) for path in files]
    documents = [
        {"archive": str(path), "sealed_anew": one.lines, "problems": list(one.problems)}
        for path, one in done
    ]
    rows = [(path.name, str(one.lines), "\n".join(one.problems)) for path, one in done]
    output.write_list(("Archive", "Lines sealed anew", "Does not open"), rows, documents, json_output)
    _end(any(one.problems for _, one in done))


def _resealed(database: Database, path: Path) -> archives.Resealed:
    one = archives.reseal(database.sealer, path)
    detail = f"{one.lines} lines with key {database.sealer.first}"
    _write_down(database, Action.ARCHIVE_RESEALED, (path,), detail)
    return one


def _write_down(database: Database, action: Action, files: tuple[Path, ...], detail: str = "") -> None:
    with database.transaction() as connection:
        for path in files:
            audit.add(connection, actor(), action, path.name, detail)


def _end(is_damaged: bool) -> None:
    if is_damaged:
        click.get_current_context().exit(EXIT_DAMAGED)


COMMANDS: Final[tuple[Any, ...]] = (prune, archive_group)
