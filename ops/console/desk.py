"""What every view works with: Postgres, the public task, the changes that pages follow, and who asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

from flask import current_app, g

from mpesa_balance import audit, history, shortcode_lists
from mpesa_balance.answers import BalanceAnswer
from mpesa_balance.audit import Action
from mpesa_balance.client import BalanceClient
from mpesa_balance.database import Connection, Database
from mpesa_balance.errors import NotFound
from mpesa_balance.people.roles import Person
from mpesa_balance.sealing import Sealer
from mpesa_balance.settings import ConsoleSettings
from mpesa_balance.shortcode_lists import Brief
from ops.console.changes import Changes
from ops.console.files_sent import Exports

EXTENSION: Final = "desk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the views of one process share."""

    settings: ConsoleSettings
    database: Database
    client: BalanceClient
    changes: Changes
    exports: Exports


def desk() -> Desk:
    """That of the application which answers now."""
    return cast("Desk", current_app.extensions[EXTENSION])


def sealer() -> Sealer:
    """What opens what is sealed in Postgres."""
    return desk().database.sealer


@contextmanager
def transaction() -> Iterator[Connection]:
    """One transaction. Raises DatabaseUnavailable."""
    with desk().database.transaction() as connection:
        yield connection


def person() -> Person:
    """Who asks; the gate has let him in."""
    return cast("Person", g.person)


def actor() -> str:
    """Who asks, as the audit trail has him."""
    return cast("str", g.actor)


def scope() -> list[str] | None:
    """The shortcodes that he may see, as lists are asked for them; None for all."""
    granted = person().shortcodes
    return None if granted is None else sorted(granted)


def on_record(connection: Connection, answer: BalanceAnswer) -> BalanceAnswer:
    """An answer that is shown now, once it is in the audit trail who looks."""
    return all_on_record(connection, [answer])[0]


def all_on_record(
    connection: Connection, answers: list[BalanceAnswer], also: str = ""
) -> list[BalanceAnswer]:
    """Answers that are shown now, once it is in the audit trail who looks, and at what else of each."""
    audit.look_at_all(connection, actor(), Action.BALANCE_SHOWN, answers, also)
    return answers


def query(connection: Connection, query_id: UUID) -> BalanceAnswer:
    """A query that he may see, found also by the id of a request, on record. Raises NotFound.

    Of one that he may not see he learns not even that there is one.
    """
    answer = history.of_query(connection, sealer(), query_id)
    if not person().sees(answer.shortcode):
        raise NotFound(f"no query and no request has the id {query_id}: check it, or wait a moment")
    return on_record(connection, answer)


def registered(connection: Connection, shortcode: str) -> Brief:
    """A shortcode that he may see. Raises Forbidden or NotFound."""
    person().demand_shortcode(shortcode)
    return shortcode_lists.one(connection, shortcode)


def ask(shortcode: str, **options: object) -> UUID:
    """Ask M-PESA by the public task, as everybody does; gives the id of the request.

    Raises RequestRefused or BrokerUnavailable.
    """
    return desk().client.request_balance(shortcode, requested_by=actor(), **options)  # type: ignore[arg-type]
