"""Callbacks as people look at them: the inbox, one callback whole, its replays. Reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import sql

from mpesa_balance import inbox
from mpesa_balance.database import Connection
from mpesa_balance.inbox import Disposition, unknown
from mpesa_balance.sealing import Sealer

#: What may be listed: dispositions, and three more things that a callback can be.
DUPLICATE: Final = "duplicate"  #: its bytes came more than once
FLAGGED: Final = "flagged"  #: its sender is none of Safaricom's known addresses
UNSETTLED: Final = "unsettled"  #: nothing has become of it yet
SELECTIONS: Final = (*Disposition, DUPLICATE, FLAGGED, UNSETTLED)

#: What waits for a person.
INBOX: Final = (Disposition.CONFLICT, Disposition.UNMATCHED, Disposition.UNREADABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One callback; shortcode and query are None where its attempt is gone."""

    id: int
    kind: str
    attempt_id: UUID
    query_id: UUID | None
    shortcode: str | None
    disposition: Disposition | None
    reason: str | None
    address: str | None
    flagged: bool
    deliveries: int
    received_at: datetime
    recorded_at: datetime

    def document(self) -> dict[str, Any]:
        """The callback as JSON has it, without its bytes."""
        return {
            "id": self.id,
            "kind": self.kind,
            "shortcode": self.shortcode,
            "query_id": self.query_id and str(self.query_id),
            "attempt_id": str(self.attempt_id),
            "disposition": self.disposition,
            "reason": self.reason,
            "address": self.address,
            "flagged": self.flagged,
            "deliveries": self.deliveries,
            "received_at": self.received_at.isoformat(),
            "recorded_at": self.recorded_at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Who let a callback be judged again, when, and what became of it."""

    replayed_at: datetime
    replayed_by: str
    disposition_before: str | None
    disposition: str
    reason: str | None

    def document(self) -> dict[str, Any]:
        """The replay as JSON has it."""
        return {
            "at": self.replayed_at.isoformat(),
            "by": self.replayed_by,
            "before": self.disposition_before,
            "disposition": self.disposition,
            "reason": self.reason,
        }


def listed(
    connection: Connection,
    selections: tuple[str, ...],
    shortcodes: Iterable[str] | None = None,
    limit: int = 50,
) -> list[Received]:
    """The newest callbacks that are any of the selections; without selections, any at all.

    shortcodes: of which they are; None for all, also those whose attempt is gone.
    """
    selected = sql.SQL(" OR ").join(map(_SELECTED.__getitem__, selections)) if selections else _ANY
    row = {"shortcodes": None if shortcodes is None else list(shortcodes), "limit": limit}
    return [_received(found) for found in connection.execute(_LISTED.format(selected=selected), row)]


def waiting(connection: Connection) -> dict[str, int]:
    """How many callbacks wait for a person, by disposition."""
    return {row["disposition"]: row["n"] for row in connection.execute(_WAITING)}


def shown(connection: Connection, callback_id: int) -> Received:
    """One callback. Raises NotFound."""
    found = connection.execute(_SHOWN, {"id": callback_id}).fetchone()
    if found is None:
        raise unknown(callback_id)
    return _received(found)


def of_query(connection: Connection, query_id: UUID) -> list[Received]:
    """The callbacks of a query's attempts, in the order in which they were recorded."""
    return [_received(row) for row in connection.execute(_OF_QUERY, {"id": query_id})]


def replays(connection: Connection, callback_id: int) -> list[Replayed]:
    """Every replay of a callback, in order."""
    return [Replayed(**row) for row in connection.execute(_REPLAYS, {"id": callback_id})]


def payload(connection: Connection, sealer: Sealer, callback_id: int) -> bytes:
    """The bytes of a callback as they came; they hold balances. Raises NotFound or SealBroken."""
    kept = inbox.find(connection, callback_id)
    return sealer.open(kept.payload, kept.place)


def _received(row: dict[str, Any]) -> Received:
    settled = row["disposition"]
    return Received(**(row | {"disposition": Disposition(settled) if settled else None}))


_COLUMNS: Final = """
    SELECT c.id, c.kind, c.attempt_id, a.query_id, q.shortcode, c.disposition, c.reason, c.address,
           c.flagged, c.deliveries, c.received_at, c.recorded_at
    FROM callbacks c
    LEFT JOIN submission_attempts a ON a.id = c.attempt_id LEFT JOIN balance_queries q ON q.id = a.query_id
"""

#: Among so many of the newest those are looked for that came more than once.
_LOOKED_THROUGH: Final = 100_000

#: Written into the statement, so that the planner can match the partial index of each: it would look
#: through all callbacks for a few of them.
_SELECTED: Final = {
    # No index tells these: each delivery would be written into it.
    DUPLICATE: sql.SQL(
        "c.deliveries > 1 AND c.recorded_at >= (SELECT min(recorded_at) FROM ("
        "SELECT recorded_at FROM callbacks ORDER BY recorded_at DESC, id DESC LIMIT {}) newest)"
    ).format(sql.Literal(_LOOKED_THROUGH)),
    FLAGGED: sql.SQL("c.flagged"),
    UNSETTLED: sql.SQL(
        "(c.disposition IS NULL AND c.reason IS NULL) OR (c.disposition IS NULL AND c.reason IS NOT NULL)"
    ),
    **{str(one): sql.SQL("c.disposition = {}").format(sql.Literal(str(one))) for one in Disposition},
}
_ANY: Final = sql.SQL("true")

_LISTED: Final = sql.SQL(
    _COLUMNS
    + """
    WHERE ({selected}) AND (%(shortcodes)s::text[] IS NULL OR q.shortcode = ANY(%(shortcodes)s::text[]))
    ORDER BY c.recorded_at DESC, c.id DESC LIMIT %(limit)s
"""
)

#: What INBOX names, written out so that the planner can match the partial index of the inbox.
_WAITING: Final = """
    SELECT disposition, count(*) AS n FROM callbacks
    WHERE disposition IN ('conflict', 'unmatched', 'unreadable') GROUP BY disposition ORDER BY disposition
"""

_SHOWN: Final = _COLUMNS + " WHERE c.id = %(id)s"

_OF_QUERY: Final = _COLUMNS + " WHERE a.query_id = %(id)s ORDER BY c.recorded_at, c.id"

_REPLAYS: Final = """
    SELECT replayed_at, replayed_by, disposition_before, disposition, reason
    FROM callback_replays WHERE callback_id = %(id)s ORDER BY id
"""
