"""Which queries have moved of late, and which alerts are open: for whoever follows. Reads only."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mpesa_balance.database import Connection

#: More than this are not told at once.
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Move:
    """A move of a query, by its number, and whose it was."""

    number: int
    shortcode: str


def newest(connection: Connection) -> int:
    """The number of the newest move that is committed; 0 for none."""
    (row,) = connection.execute(_NEWEST).fetchall()
    return int(row["id"])


def since(connection: Connection, number: int) -> tuple[Move, ...]:
    """The moves with a higher number that are committed; of very many the newest."""
    return tuple(Move(**row) for row in connection.execute(_SINCE, {"number": number, "most": _MOST}))


def open_alerts(connection: Connection) -> dict[UUID, str]:
    """The alerts that are open and about a shortcode, each with that."""
    return {row["id"]: row["shortcode"] for row in connection.execute(_OPEN_ALERTS)}


_NEWEST: Final = "SELECT coalesce(max(id), 0) AS id FROM query_events"

_SINCE: Final = """
    SELECT e.id AS number, q.shortcode FROM query_events e JOIN balance_queries q ON q.id = e.query_id
    WHERE e.id > %(number)s ORDER BY e.id DESC LIMIT %(most)s
"""

_OPEN_ALERTS: Final = "SELECT id, shortcode FROM alerts WHERE cleared_at IS NULL AND shortcode IS NOT NULL"
