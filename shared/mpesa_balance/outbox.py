"""What others must be told: written in the transaction that it tells of, delivered at least once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from mpesa_balance.database import Connection

QUERY_FAILED: Final = "query_failed"
QUERY_TIMED_OUT: Final = "query_timed_out"
SHORTCODE_SUSPENDED: Final = "shortcode_suspended"
APP_REFUSED: Final = "app_refused"
PASSWORD_AGEING: Final = "password_ageing"  # noqa: S105 - the name of a topic, not a secret
PASSWORD_EXPIRED: Final = "password_expired"  # noqa: S105 - the name of a topic, not a secret
TASK_QUARANTINED: Final = "task_quarantined"
CALLBACK_CONFLICT: Final = "callback_conflict"
CALLBACK_UNMATCHED: Final = "callback_unmatched"
CALLBACK_UNREADABLE: Final = "callback_unreadable"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell. `id` is stable: a receiver that has seen it may drop it."""

    id: UUID
    topic: str
    message: str
    query_id: UUID | None
    callback_id: int | None
    shortcode: str | None
    created_at: datetime


def add(
    connection: Connection,
    topic: str,
    message: str,
    query_id: UUID | None = None,
    callback_id: int | None = None,
    shortcode: str | None = None,
) -> None:
    """Put a notice into the outbox. Its message holds no amount and no credential."""
    row = {
        "topic": topic,
        "message": message,
        "query_id": query_id,
        "callback_id": callback_id,
        "shortcode": shortcode,
    }
    connection.execute(_ADD, row)


def take(connection: Connection, limit: int = 100) -> list[Notice]:
    """The oldest notices that wait, marked as delivered when this transaction commits."""
    return [Notice(**row) for row in connection.execute(_TAKE, {"limit": limit})]


_ADD: Final = """
    INSERT INTO outbox (topic, message, query_id, callback_id, shortcode)
    VALUES (%(topic)s, %(message)s, %(query_id)s, %(callback_id)s, %(shortcode)s)
"""

#: Deliver inside the transaction: what fails before the commit waits for the next tick.
_TAKE: Final = """
    WITH waiting AS (
        SELECT id FROM outbox WHERE delivered_at IS NULL
        ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox o SET delivered_at = now() FROM waiting WHERE o.id = waiting.id
    RETURNING o.id, o.topic, o.message, o.query_id, o.callback_id, o.shortcode, o.created_at
"""
