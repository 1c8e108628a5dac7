"""How the command shows things: tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

import click
from rich.console import Console
from rich.table import Table

from mpesa_balance.answers import AnsweredBy, BalanceAnswer
from mpesa_balance.balances import Account
from mpesa_balance.history import Event
from mpesa_balance.moments import told

as_json = click.option("--json", "json_output", is_flag=True, help="Write JSON.")


def report(sentence: str, document: Any, json_output: bool) -> None:
    """What was done: a sentence for people, a document for programs."""
    if json_output:
        write_json(document)
    else:
        click.echo(sentence)


def write_list(
    columns: Sequence[str], rows: Iterable[Sequence[str]], documents: Sequence[Any], json_output: bool
) -> None:
    """What was found: a table for people, the documents for programs."""
    if json_output:
        write_json(documents)
    else:
        write_table(columns, rows)


def fields(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rows of a table that shows one document."""
    return [(name, "" if value is None else str(value)) for name, value in document.items()]


def write_json(document: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, indent=2))


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """A table; it says so where it has no rows."""
    table = folding_table(columns, title)
    for row in rows:
        table.add_row(*row)
    _console().print(table if table.rows else "Nothing yet.")


def folding_table(columns: Sequence[str], title: str | None = None) -> Table:
    """A table without rows. A terminal that is too narrow folds what does not fit; it cuts nothing off."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def write_standing(standing: BalanceAnswer) -> None:
    """A request's state in a sentence, and its accounts where it has any."""
    console = _console()
    late = " (late)" if standing.late else ""
    console.print(f"Query {standing.query_id} for {standing.shortcode}: {standing.state}{late}")
    if standing.result_code or standing.result_description:
        said = standing.result_description or "no description"
        console.print(f"Daraja said {standing.result_code or 'no code'}: {said}")
    if standing.meaning is not None:
        console.print(f"What it means: {standing.meaning}")
        console.print(f"What to do: {standing.advice}")
    if standing.answered_by is AnsweredBy.TOO_SOON:
        possible = moment(standing.next_possible_at)
        console.print(
            f"This is the balance at hand. M-PESA can be asked again from {possible} (or --force)."
        )
    if standing.accounts:
        write_accounts([standing])
    if standing.warnings:
        console.print(f"Odd about this balance: {', '.join(standing.warnings)}")


def write_accounts(standings: Sequence[BalanceAnswer]) -> None:
    """A table of accounts for each standing, amounts to the right."""
    for standing in standings:
        as_of = moment(standing.completed_at or standing.ended_at)
        table = Table("Account", "Currency", title=f"{standing.shortcode} as of {as_of}")
        for name in ("Current", "Available", "Reserved", "Uncleared"):
            # A terminal that is too narrow folds an amount; it never cuts one short.
            table.add_column(name, justify="right", overflow="fold")
        for account in standing.accounts:
            table.add_row(*_account_row(account))
        _console().print(table)
    if not standings:
        click.echo("No balance yet: `mpesa-balance query SHORTCODE --wait` asks for one.")


def write_timeline(events: Iterable[Event]) -> None:
    """What happened, in order."""
    rows = [(moment(event.happened_at), event.what, event.detail) for event in events]
    write_table(("When", "What", "Detail"), rows)


def moment(instant: datetime | None) -> str:
    """An instant as people in Kenya read it; empty for none."""
    return told(instant) if instant else ""


class Progress:
    """How something stands while it is waited for, on standard error: programs read the other.

    A terminal shows it in one line that moves; elsewhere each change is a line of its own.
    """

    def __init__(self, first: str) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status(first)
        self._shown = first

    def show(self, text: str) -> None:
        """Show how it stands now."""
        if text != self._shown and not self._console.is_terminal:
            self._console.print(text)
        self._shown = text
        self._status.update(text)

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()


def _account_row(account: Account) -> tuple[str, ...]:
    amounts = (account.current, account.available, account.reserved, account.uncleared)
    return (account.name, account.currency or "?", *(amount_text(amount) for amount in amounts))


def amount_text(amount: Decimal | None) -> str:
    """An amount as people read it."""
    return "not given" if amount is None else f"{amount:,}"


def _console() -> Console:
    # Made at each use, so that it writes where standard output points now. Tables are wide: what
    # is piped into a file is not cut to a terminal's width.
    # Texts of callers and of Daraja are shown as they are: their brackets are no markup.
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=140)
