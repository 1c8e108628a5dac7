"""The audit trail as a test reads it."""

from typing import Any

from mpesa_balance import audit
from mpesa_balance.audit import Entry
from worker.house import House


def trail(house: House, **filters: Any) -> list[Entry]:
    """What fits the filters, newest first."""
    with house.database.transaction() as connection:
        return audit.entries(connection, **filters)


def told(entry: Entry) -> tuple[str, str, str]:
    """Who did what to whom."""
    return entry.actor, entry.action, entry.subject
