"""Keys: making one, sealing everything anew with another, and whether one is still needed."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from mpesa_balance import audit, rotation, sealed_columns
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.cli.programs import program
from mpesa_balance.contract import UNROUTABLE_QUEUE
from mpesa_balance.database import Database
from mpesa_balance.environment import Reader, load
from mpesa_balance.errors import NotFound, RequestRefused, SpoolUnavailable
from mpesa_balance.rotation import Resealed
from mpesa_balance.sealed_columns import SEALED, Census, SealedColumn
from mpesa_balance.sealing import Sealer, new_key

#: What a script sees where something is left under another key.
EXIT_UNFINISHED: Final = 1

#: What a script sees where nothing was found, and not everything could be looked at.
EXIT_NOT_ALL_SEEN: Final = 3

#: What to do about what is in use, by its place; elsewhere it is a message or in a spool.
_REMEDIES: Final = {
    **{column.name: "`mpesa-balance keys rotate` seals it anew" for column in SEALED},
    "tokens": "it ends within an hour, and the workers mint another",
    UNROUTABLE_QUEUE: "`mpesa-balance doctor` says what to do about it",
}
_WAIT: Final = "wait until the workers have recorded it"


@click.group()
def keys() -> None:
    """Keys for sealing and for signing callback addresses.

    \b
    A sealing key is replaced while the system runs, in five steps. Programs are the workers, beat,
    Flower, the console, the webhook tier and this command.
      1. `mpesa-balance keys new`: put it last in SEALING_KEYS of every program, as ID:KEY with an
         ID of its own, and restart them: all of them must open what it seals before one seals.
      2. Put it first in SEALING_KEYS of every program, and restart them. It seals now.
      3. `mpesa-balance keys rotate` seals anew what is stored.
      4. `mpesa-balance keys drop OLD` says whether the old key is still needed.
      5. Remove it from SEALING_KEYS of every program, and restart them. Keep it for as long as
         there are backups from before step 3, and archives (`mpesa-balance archive reseal`).
    """


@keys.command("new")
@output.as_json
def new(json_output: bool) -> None:
    """Print a fresh key: CALLBACK_KEYS takes it as it is, SEALING_KEYS as id:key."""
    key = new_key()
    output.report(key, {"key": key}, json_output)


@keys.command("rotate")
@output.as_json
def rotate(json_output: bool) -> None:
    """Seal everything in Postgres anew with the first key of SEALING_KEYS, while the system runs.

    It may be stopped or killed at any point, and begun again. Exit code 1 where something is left
    under another key: what does not open, and what programs seal that have not been restarted.
    `mpesa-balance keys --help` shows the whole procedure.
    """
    with closing(stores.database()) as database, output.Progress("counting what there is") as progress:
        before = sealed_columns.census(database)
        _write_down(database, Action.KEY_ROTATION_BEGUN, database.sealer.first)
        done = [_resealed(database, column, before[column.name], progress) for column in SEALED]
        progress.show("counting again")
        after = sealed_columns.census(database)
        anew, broken = sum(one.rows for one in done), sum(one.broken for one in done)
        detail = f"{anew} rows sealed anew, {broken} do not open"
        _write_down(database, Action.KEY_ROTATION_ENDED, database.sealer.first, detail)
    left = {name: sealed_columns.others(found, database.sealer) for name, found in after.items()}
    is_finished = not any(left.values()) and not any(one.broken for one in done)
    documents = [_document(one, left[one.column.name]) for one in done]
    if json_output:
        key = database.sealer.first
        output.write_json({"key": key, "is_finished": is_finished, "columns": documents})
    else:
        columns = ("Column", "Sealed anew", "Does not open", "Left under other keys")
        output.write_table(columns, [_row(document) for document in documents])
        for one in done:
            for problem in one.problems:
                click.echo(f"Does not open: {problem}")
        click.echo(_finished(database.sealer) if is_finished else _unfinished(database.sealer, done))
    if not is_finished:
        click.get_current_context().exit(EXIT_UNFINISHED)


def _write_down(database: Database, action: Action, key_id: str, detail: str = "") -> None:
    """An entry in a transaction of its own: a rotation has many, and may be killed between any two."""
    with database.transaction() as connection:
        audit.add(connection, actor(), action, key_id, detail)


def _resealed(
    database: Database, column: SealedColumn, before: Census, progress: output.Progress
) -> Resealed:
    total = sealed_columns.others(before, database.sealer).total()

    def show(done: int) -> None:
        # More may come than were counted, from programs that were not restarted.
        progress.show(f"{column.name}: {min(100 * done // total, 100) if total else 100} %")

    return rotation.reseal(database, column, show)


def _document(one: Resealed, left: Census) -> dict[str, Any]:
    return {
        "column": one.column.name,
        "sealed_anew": one.rows,
        "broken": one.broken,
        "problems": list(one.problems),
        "left": {named or "no envelope": envelopes for named, envelopes in left.items()},
    }


def _row(document: Mapping[str, Any]) -> tuple[str, ...]:
    left = ", ".join(f"{named} ({envelopes})" for named, envelopes in document["left"].items())
    return (document["column"], str(document["sealed_anew"]), str(document["broken"]), left)


def _finished(sealer: Sealer) -> str:
    others = "; ".join(f"`mpesa-balance keys drop {named}`" for named in list(sealer.keys)[1:])
    following = f"Next: {others}" if others else "There is no other key in SEALING_KEYS."
    return f"Everything in Postgres is sealed with key {sealer.first!r}. {following}"


def _unfinished(sealer: Sealer, done: list[Resealed]) -> str:
    if any(one.broken for one in done):
        return (
            "What does not open was left as it is: add the key that it names at the end of SEALING_KEYS, "
            "or restore it from a backup (credentials: `mpesa-balance apps add` or `shortcodes add`, with "
            "--replace), then `mpesa-balance keys rotate` again."
        )
    return (
        f"Something is still sealed with another key than {sealer.first!r}: somebody held it all the time, "
        f"or a program seals with the older key. Restart every program with {sealer.first!r} first in "
        "SEALING_KEYS, then `mpesa-balance keys rotate` again."
    )


@keys.command("drop")
@click.argument("key_id")
@click.option("--only-spool", is_flag=True, help="For the webhook tier's host, which knows no database.")
@output.as_json
def drop(key_id: str, only_spool: bool, json_output: bool) -> None:
    """Say whether the key called KEY_ID may leave SEALING_KEYS. Nothing is changed.

    It may not while anything in Postgres, a token or a message in Redis, or a callback in SPOOL_DIR is
    sealed with it (exit code 5). Exit code 3 where nothing was found and there is no spool here to
    look at: run it with --only-spool where the webhook tier runs.
    """
    sealer, directory = load(_sealer_and_spool)
    _check(sealer, key_id)
    # In the order in which a callback travels, so that none slips by.
    found, unseen = _in_spools(directory, is_needed=only_spool)
    if not only_spool:
        found |= program("ops.key_uses").in_broker(load(Reader.broker).broker_url)
        with closing(stores.database()) as database:
            found |= sealed_columns.census(database)
    used = {place: count for place, named in found.items() if (count := named[key_id])}
    if used:
        raise RequestRefused([_refusal(key_id, place, count) for place, count in used.items()])
    if not only_spool:
        detail = f"not looked at: {unseen}" if unseen else ""
        with closing(stores.database()) as database:
            _write_down(database, Action.KEY_DROP_ALLOWED, key_id, detail)
    document = {"key": key_id, "looked_at": list(found), "not_looked_at": unseen}
    output.report(_allowed(key_id, found, unseen, only_spool), document, json_output)
    if unseen:
        click.get_current_context().exit(EXIT_NOT_ALL_SEEN)


def _sealer_and_spool(reader: Reader) -> tuple[Sealer, Path]:
    return reader.sealer(), reader.spool_directory()


def _check(sealer: Sealer, key_id: str) -> None:
    if key_id not in sealer.keys:
        # What was typed may be the key itself, so it is not repeated.
        raise NotFound(f"there is no key of that id in SEALING_KEYS: it holds {', '.join(sealer.keys)}")
    if key_id == sealer.first:
        seals = f"key {key_id!r} is the first of SEALING_KEYS, which seals"
        raise RequestRefused([f"{seals}: `mpesa-balance keys --help` shows how another takes its place"])


def _in_spools(directory: Path, *, is_needed: bool) -> tuple[dict[str, Any], str | None]:
    """What is in the spools of this machine, or why that is not known."""
    try:
        return program("ops.key_uses").in_spools(directory), None
    except SpoolUnavailable as unavailable:
        if is_needed:
            raise
        return {}, str(unavailable)


def _refusal(key_id: str, place: str, count: int) -> str:
    many = "1 envelope" if count == 1 else f"{count} envelopes"
    return f"{many} in {place} sealed with key {key_id!r}: {_REMEDIES.get(place, _WAIT)}"


def _allowed(key_id: str, found: Mapping[str, Any], unseen: str | None, only_spool: bool) -> str:
    if only_spool:
        return f"Nothing is sealed with key {key_id!r} in {', '.join(found)}."
    if unseen:
        return (
            f"Nothing in Postgres and Redis is sealed with key {key_id!r}, but callbacks may wait in a "
            f"spool: {unseen}. On every host of the webhook tier (`docker compose exec webhooks ...`), "
            f"`mpesa-balance keys drop {key_id} --only-spool` must find nothing before the key is removed."
        )
    return (
        f"Nothing is sealed with key {key_id!r}. Remove it from SEALING_KEYS of every program (workers, "
        "beat, Flower, console, webhook tier, this command: the environment, the file that "
        "SEALING_KEYS_FILE names, or secrets.json in the state directory of `mpesa-balance up`), and "
        "restart them. Keep it for as long as there are backups and archives that need it."
    )


COMMANDS: Final[tuple[Any, ...]] = (keys,)
