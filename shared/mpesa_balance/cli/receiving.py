"""Looking through the inbox: callbacks list, show and replay."""

from typing import Any, Final

import click

from mpesa_balance import callback_handling, received
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor, user
from mpesa_balance.database import Database
from mpesa_balance.errors import RequestRefused
from mpesa_balance.inbox import Disposition
from mpesa_balance.received import INBOX, SELECTIONS, Received

#: What a script sees of a replay that applied nothing.
EXIT_NOT_APPLIED: Final = 3

_number = click.IntRange(min=1)


@click.group("callbacks")
def callbacks_group() -> None:
    """What Daraja has sent, and what became of it."""


@callbacks_group.command("list")
@click.option(
    "--only",
    type=click.Choice([str(one) for one in SELECTIONS]),
    multiple=True,
    help="May be given several times; conflict, unmatched and unreadable by default. "
    "Duplicates are looked for among the newest 100,000.",
)
@click.option("--all", "everything", is_flag=True, help="Whatever became of them.")
@click.option("--shortcode", help="Of one shortcode.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@output.as_json
def list_callbacks(
    only: tuple[str, ...], everything: bool, shortcode: str | None, limit: int, json_output: bool
) -> None:
    """Show the newest callbacks that wait for a person, or others."""
    selections = () if everything else only or INBOX
    with stores.database().transaction() as connection:
        found = received.listed(connection, selections, [shortcode] if shortcode else None, limit)
    columns = ("Number", "Recorded", "Shortcode", "Kind", "What became of it", "Reason", "From")
    output.write_list(columns, [_row(one) for one in found], [one.document() for one in found], json_output)


@callbacks_group.command("show")
@click.argument("number", type=_number)
@click.option("--payload", is_flag=True, help="Write the bytes as they came, which hold balances.")
@output.as_json
def show_callback(number: int, payload: bool, json_output: bool) -> None:
    """Show one callback and its replays."""
    database = stores.database()
    if payload:
        # Bytes are written as they are, without a newline of ours.
        click.echo(_payload(database, number), nl=False)
        return
    with database.transaction() as connection:
        one = received.shown(connection, number)
        replays = [replayed.document() for replayed in received.replays(connection, number)]
    if json_output:
        output.write_json(one.document() | {"replays": replays})
        return
    rows = output.fields(one.document())
    rows += [(f"replayed by {entry['by']}", f"{entry['at']}: {entry['disposition']}") for entry in replays]
    output.write_table(("", f"Callback {number}"), rows)


@callbacks_group.command("replay")
@click.argument("numbers", type=_number, nargs=-1)
@click.option(
    "--only",
    type=click.Choice([str(one) for one in INBOX]),
    multiple=True,
    help="All that are so, instead of numbers.",
)
@click.option("--by", default=user, help="Who does it; the name at this machine by default.")
@output.as_json
def replay_callbacks(numbers: tuple[int, ...], only: tuple[str, ...], by: str, json_output: bool) -> None:
    """Judge callbacks again, after what kept them from being applied was mended.

    Exit code 3 where one of them is not applied.
    """
    if bool(numbers) is bool(only):
        raise RequestRefused(["name callbacks by number, or all of a kind with --only"])
    database = stores.database()
    with database.transaction() as connection:
        # All of them are looked up first: a number that is wrong must not leave half of them done.
        for number in numbers:
            received.shown(connection, number)
        if only:
            numbers = tuple(one.id for one in received.listed(connection, only, limit=10_000))
    done = [_replayed(database, number, by) for number in numbers]
    rows = [(str(one["id"]), str(one["disposition"]), str(one["reason"] or "")) for one in done]
    output.write_list(("Number", "What became of it", "Reason"), rows, done, json_output)
    if any(one["disposition"] != Disposition.APPLIED for one in done):
        click.get_current_context().exit(EXIT_NOT_APPLIED)


def _payload(database: Database, number: int) -> bytes:
    with database.transaction() as connection:
        return callback_handling.payload(connection, database.sealer, number, actor())


def _replayed(database: Database, number: int, by: str) -> dict[str, Any]:
    """One replay in a transaction of its own, so that one fault does not undo the others."""
    with database.transaction() as connection:
        verdict = callback_handling.replay(connection, database.sealer, number, by, actor())
    return {"id": number, "disposition": verdict.disposition, "reason": verdict.reason}


def _row(one: Received) -> tuple[str, ...]:
    became = str(one.disposition or received.UNSETTLED)
    marks = (f"x{one.deliveries}" if one.deliveries > 1 else "", received.FLAGGED if one.flagged else "")
    return (
        str(one.id),
        output.moment(one.recorded_at),
        one.shortcode or "",
        one.kind,
        " ".join(filter(None, (became, *marks))),
        one.reason or "",
        one.address or "",
    )


COMMANDS: Final[tuple[Any, ...]] = (callbacks_group,)
