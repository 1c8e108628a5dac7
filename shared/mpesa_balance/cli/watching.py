"""Balances over time at the command line: a live table, and the history of a shortcode."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from mpesa_balance import audit, history, shortcodes
from mpesa_balance.answers import BalanceAnswer
from mpesa_balance.audit import Action
from mpesa_balance.balances import Account
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.cli.times import at_or_ago
from mpesa_balance.database import Database
from mpesa_balance.exports import EXPORTS, Selection
from mpesa_balance.tabular import plain

#: A plot that is as wide as most terminals, with its axis.
_WIDTH: Final = 64
_HEIGHT: Final = 14

_HEADS: Final = ("Shortcode", "Account", "Available", "Since yesterday", "Age", "")


@click.command()
@click.argument("only", metavar="[SHORTCODE]...", nargs=-1)
@click.option("--every", type=click.FloatRange(min=0.2), default=2.0, show_default=True, help="Seconds.")
@click.option("--times", type=click.IntRange(min=1), help="Look so many times and end; else until Ctrl-C.")
def watch(only: tuple[str, ...], every: float, times: int | None) -> None:
    """Watch the balances of all shortcodes, or of some, in a table that follows them.

    What is available in each account, how it has changed since a day ago, how old the figure is, and
    whether M-PESA is being asked at this moment.
    """
    with closing(stores.database()) as database:
        looking = _Looking(database, only)
        with Live(looking.table(), console=Console(), auto_refresh=False) as live:
            for _ in range(times - 1) if times else iter(int, 1):
                time.sleep(every)
                live.update(looking.table(), refresh=True)


@dataclass(slots=True)
class _Looking:
    """One person's look, and which balances he has been shown."""

    database: Database
    only: tuple[str, ...]
    seen: set[UUID | None] = field(default_factory=set)

    def table(self) -> Table:
        """How everything stands now."""
        with self.database.transaction() as connection:
            sealer = self.database.sealer
            newest = history.latest(connection, sealer, self.only or None)
            before = history.since_yesterday(connection, sealer, newest)
            asked = history.in_flight(connection)
            for one in newest:
                # Each figure is written down once, however often it is drawn.
                if one.query_id not in self.seen:
                    audit.look(connection, actor(), Action.BALANCE_SHOWN, one)
                    self.seen.add(one.query_id)
        table = output.folding_table(_HEADS)
        for one in newest:
            for row in _rows(one, before.get(one.shortcode), asked):
                table.add_row(*row)
        return table


def _rows(
    newest: BalanceAnswer, before: BalanceAnswer | None, asked: Mapping[str, object]
) -> Iterator[tuple[str, ...]]:
    were = {one.name: one for one in before.accounts} if before else {}
    age = _age(newest.completed_at or newest.ended_at)
    state = str(asked.get(newest.shortcode or "", ""))
    for place, account in enumerate(newest.accounts):
        named = (newest.shortcode or "", account.name) if place == 0 else ("", account.name)
        told = (age, state) if place == 0 else ("", "")
        yield (
            *named,
            output.amount_text(account.available),
            _change(account, were.get(account.name)),
            *told,
        )


def _change(now: Account, before: Account | None) -> str:
    if before is None or before.available is None or now.available is None:
        return ""
    change = now.available - before.available
    return f"{change:+,}" if change else "="


def _age(instant: datetime | None) -> str:
    if instant is None:
        return ""
    return str(timedelta(seconds=max(int((datetime.now(UTC) - instant).total_seconds()), 0)))


@click.command("history")
@click.argument("shortcode")
@click.option("--account", help="This account only.")
@click.option("--since", callback=at_or_ago, default="30d", show_default=True, metavar="TIME")
@click.option("--to", "until", callback=at_or_ago, metavar="TIME", help="Up to, and without, this instant.")
@click.option("--plot", is_flag=True, help="Draw what was available, a plot for each account.")
@output.as_json
def history_command(
    shortcode: str,
    account: str | None,
    since: datetime,
    until: datetime | None,
    plot: bool,
    json_output: bool,
) -> None:
    """Show what M-PESA told of SHORTCODE, the newest first, or draw it."""
    selection = Selection(shortcodes=(shortcode,), since=since, until=until)
    with closing(stores.database()) as database, database.transaction() as connection:
        shortcodes.named(connection, database.sealer, shortcode)
        audit.add(connection, actor(), Action.BALANCE_SHOWN, shortcode, f"since {since.isoformat()}")
        columns, rows = EXPORTS["balances"]
        found = [_named(columns, row) for row in rows(connection, database.sealer, selection)]
    found = [one for one in found if account in (None, one["account"])]
    if json_output:
        output.write_json([{name: plain(cell) for name, cell in one.items()} for one in found])
    elif plot:
        _draw(found)
    else:
        amounts = ("current", "available", "reserved", "uncleared")
        shown = [
            (
                output.moment(one["as_of"]),
                one["account"],
                *(output.amount_text(one[name]) for name in amounts),
            )
            for one in found
        ]
        output.write_table(("As of", "Account", *(name.capitalize() for name in amounts)), shown)


def _named(columns: Sequence[Any], row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip((column.name for column in columns), row, strict=True))


def _draw(found: Sequence[Mapping[str, Any]]) -> None:
    # Here and not above: only whoever draws needs it.
    import plotille

    for name in dict.fromkeys(one["account"] for one in found):
        told = [one for one in reversed(found) if one["account"] == name and one["available"] is not None]
        figure = plotille.Figure()
        figure.width, figure.height = _WIDTH, _HEIGHT
        figure.y_label, figure.x_label = "available", "as of"
        # Positions on a screen, not amounts.
        figure.plot([one["as_of"] for one in told], [float(one["available"]) for one in told])
        click.echo(f"{name} ({told[-1]['currency']})" if told else name)
        if len(told) > 1:
            click.echo(figure.show())
        else:
            click.echo("One balance or none is no line: ask more often, or look further back with --since.")


COMMANDS: Final[tuple[Any, ...]] = (watch, history_command)
