"""Asking and looking: query, status, balances."""

import time
from typing import Any, Final
from uuid import UUID

import click

from mpesa_balance import audit, history, shortcodes
from mpesa_balance.answers import BalanceAnswer
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.database import Database
from mpesa_balance.environment import Reader, load
from mpesa_balance.errors import RequestRefused, Unavailable
from mpesa_balance.settings import BrokerSettings, DatabaseSettings
from mpesa_balance.states import QueryState

#: What a script sees of a query that ended without a balance.
EXIT_NO_BALANCE: Final = 3

_POLL_SECONDS: Final = 0.2


@click.command()
@click.argument("shortcode")
@click.option("--wait", is_flag=True, help="Wait for the answer and print it.")
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=660,
    show_default=True,
    help="How long to wait, in seconds.",
)
@click.option("--remarks", help="2 to 100 plain characters that M-PESA keeps with the query.")
@click.option("--idempotency-key", help="Asking twice with one key is one request.")
@click.option("--requested-by", default=actor, help="For the history; the name at this machine by default.")
@click.option(
    "--max-age", type=click.IntRange(min=0), help="A balance at most this old will do, in seconds."
)
@click.option(
    "--force", is_flag=True, help="Ask M-PESA even where a query is in flight or was just answered."
)
@output.as_json
def query(shortcode: str, wait: bool, timeout: int, json_output: bool, **given: Any) -> None:
    """Ask M-PESA for the balance of SHORTCODE."""
    BalanceAsk.read({"shortcode": shortcode, **given})
    database_settings, broker = load(_both)
    database = Database(database_settings, "mpesa-balance-cli")
    with database.transaction() as connection:
        shortcodes.named(connection, database.sealer, shortcode)
        entry = shortcodes.askable(connection, shortcode)
        wrong = entry.refusals(callback_base_url=None) if entry else []
        # A balance that is at hand needs nothing to be asked; whether one is, the worker finds out.
        if wrong and given["max_age"] is None:
            raise RequestRefused(wrong)
    # Here and not above: Celery is slow to import, and every other command does without.
    from mpesa_balance.client import BalanceClient

    with BalanceClient(broker.broker_url) as client:
        request_id = client.request_balance(shortcode, **given)
    if wait:
        _finish(_wait(database, request_id, timeout), json_output)
    else:
        document = {"request_id": str(request_id), "shortcode": shortcode}
        sentence = f"Asked. Follow it with: mpesa-balance status {request_id}"
        output.report(sentence, document, json_output)


@click.command()
@click.argument("query_id", type=click.UUID)
@output.as_json
def status(query_id: UUID, json_output: bool) -> None:
    """Show how a query stands, and its timeline. A request's id does as well."""
    database = stores.database()
    with database.transaction() as connection:
        standing = history.of_query(connection, database.sealer, query_id)
        audit.look(connection, actor(), Action.BALANCE_SHOWN, standing)
        events = history.timeline(connection, standing.query_id) if standing.query_id else []
    if json_output:
        timeline = [event.document() for event in events]
        output.write_json(standing.document() | {"timeline": timeline})
    elif standing.refusal:
        click.echo(f"Refused: {standing.refusal}")
    else:
        output.write_standing(standing)
        output.write_timeline(events)


@click.command()
@click.argument("shortcode", required=False)
@output.as_json
def balances(shortcode: str | None, json_output: bool) -> None:
    """Show the newest balance of SHORTCODE, or of every shortcode."""
    database = stores.database()
    with database.transaction() as connection:
        if shortcode:
            shortcodes.named(connection, database.sealer, shortcode)
        newest = history.latest(connection, database.sealer, [shortcode] if shortcode else None)
        for standing in newest:
            audit.look(connection, actor(), Action.BALANCE_SHOWN, standing)
    if json_output:
        output.write_json([standing.document() for standing in newest])
    else:
        output.write_accounts(newest)


def _both(reader: Reader) -> tuple[DatabaseSettings, BrokerSettings]:
    return reader.database(), reader.broker()


def _wait(database: Database, request_id: UUID, timeout: int) -> BalanceAnswer:
    """Poll until the request is answered, showing how it stands. Raises Unavailable in the end."""
    ends = time.monotonic() + timeout
    with output.Progress("asked: waiting for a worker") as progress:
        while time.monotonic() < ends:
            with database.transaction() as connection:
                standing = history.of_request(connection, database.sealer, request_id)
                if standing is not None:
                    audit.look(connection, actor(), Action.BALANCE_SHOWN, standing)
            if standing is not None and not standing.is_open:
                return standing
            if standing is not None:
                progress.show(f"{standing.state}: waiting for M-PESA")
            time.sleep(_POLL_SECONDS)
    raise Unavailable(
        f"no answer within {timeout} s: see `mpesa-balance status {request_id}`, and whether workers run"
    )


def _finish(standing: BalanceAnswer, json_output: bool) -> None:
    """Print an answer and end with the exit code that it deserves."""
    if standing.refusal:
        raise RequestRefused([standing.refusal])
    if json_output:
        output.write_json(standing.document())
    else:
        output.write_standing(standing)
    if standing.state is not QueryState.COMPLETED:
        click.get_current_context().exit(EXIT_NO_BALANCE)


COMMANDS: Final[tuple[Any, ...]] = (query, status, balances)
