"""People on call for the tests: their rules and channels, balances as they come, and what is raised."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from mpesa_balance import alert_channels, alert_history, alert_rulebook
from mpesa_balance.alert_channels import Channel
from mpesa_balance.alert_history import Alert
from mpesa_balance.alert_rules import Rule
from tests.conftest import open_query
from tests.integration.answers import begin, record, row, rows, success
from worker import alerting
from worker.house import House
from worker.sweeper import sweep

WORKING = "Working Account"

#: When the first balance of a test stood so; others are placed by minutes after it.
BEGINNING = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def add_rule(house: House, kind: str, **given: Any) -> Rule:
    """A rule; its limits are given by their names, as text."""
    names = ("threshold", "clear_at", "amount", "percent", "minutes")
    limits = {name: given.pop(name, None) for name in names}
    with house.database.transaction() as connection:
        return alert_rulebook.add(connection, house.database.sealer, kind=kind, limits=limits, **given)


def add_channel(house: House, url: str, name: str = "people", **given: Any) -> None:
    with house.database.transaction() as connection:
        channel = Channel(name=name, url=url, **given)
        alert_channels.add(connection, house.database.sealer, channel)


def of(*available: str | None, names: tuple[str, ...] = (WORKING, "Utility Account")) -> str:
    """Daraja's value for accounts with these available amounts; None for one that gives none."""
    return "&".join(
        f"{name}|KES|9.99|{'' if amount is None else amount}|0.00|0.00"
        for name, amount in zip(names, available, strict=False)
    )


def store(house: House, balance: str, minute: float = 0) -> UUID:
    """A balance that stood so that many minutes after the beginning, stored as the worker does."""
    query_id = open_query(house.database)
    at = (BEGINNING + timedelta(hours=3, minutes=minute)).strftime("%Y%m%d%H%M%S")
    payload = success(balance).replace(b"20261122120000", at.encode())
    record(house, begin(house, query_id), payload)
    return query_id


def seen(house: House, balance: str, minute: float = 0) -> list[tuple[str, str | None]]:
    """A balance comes and is examined; gives what is open after that."""
    store(house, balance, minute)
    while alerting.examine(house):
        pass
    return opened(house)


def opened(house: House) -> list[tuple[str, str | None]]:
    """The kinds and accounts of the open alerts."""
    found = rows(house, "SELECT kind, account FROM alerts WHERE cleared_at IS NULL ORDER BY kind, account")
    return [(one["kind"], one["account"]) for one in found]


def listed(house: House, **given: Any) -> list[Alert]:
    with house.database.transaction() as connection:
        return alert_history.listed(connection, house.database.sealer, **given)


def messages(house: House) -> list[tuple[str, str]]:
    """What is told, in order, and how far it has come."""
    found = rows(
        house,
        "SELECT what, CASE WHEN delivered_at IS NOT NULL THEN 'delivered' "
        "WHEN given_up_at IS NOT NULL THEN 'given up' ELSE 'waiting' END AS fate "
        "FROM alert_messages ORDER BY created_at, what DESC",
    )
    return [(one["what"], one["fate"]) for one in found]


def raised(house: House, kind: str) -> dict[str, Any]:
    """The one alert of this kind."""
    return row(house, "SELECT * FROM alerts WHERE kind = %s", kind)


def overdue(house: House) -> None:
    rows(house, "UPDATE balance_queries SET deadline_at = now() - interval '1 s' RETURNING id")
    sweep(house)
