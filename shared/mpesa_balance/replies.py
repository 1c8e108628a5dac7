"""What callers' own tasks are told of their requests: written with the ending, sent at least once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from mpesa_balance.database import Connection
from mpesa_balance.happenings import RepliesAdded

#: A request that was refused has no query and no state; this is what its caller is told.
REFUSED: Final = "refused"

#: The waits before each further try, in seconds; the last of them again and again.
_BACKOFF: Final = (5, 15, 60, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A caller's task that is to be told. `id` is stable: a receiver that has seen it may drop it."""

    id: UUID
    request_id: UUID
    idempotency_key: str | None
    state: str
    task: str
    queue: str
    include_accounts: bool
    trace_parent: str | None


def add_for_queries(connection: Connection, query_ids: Sequence[UUID]) -> None:
    """These queries have just ended, so whoever asked for them and wants to know is told."""
    _add(connection, _ADD_FOR_QUERIES, {"query_ids": list(query_ids)})


def add_for_request(connection: Connection, request_id: UUID) -> None:
    """This request had its answer, or its refusal, as soon as it was made."""
    _add(connection, _ADD_FOR_REQUEST, {"request_id": request_id, "refused": REFUSED})


def _add(connection: Connection, statement: str, row: dict[str, Any]) -> None:
    if connection.execute(statement, row).rowcount:
        connection.happened.append(RepliesAdded())


def take(connection: Connection, limit: int = 100) -> list[Reply]:
    """Replies that are due, locked until this transaction ends; send them in it, then `sent` them.

    New ones come first: those that were put off must not hold them up.
    """
    return [Reply(**row) for row in connection.execute(_TAKE, {"limit": limit})]


def sent(connection: Connection, reply_ids: Sequence[UUID]) -> None:
    """These need not be sent again."""
    connection.execute(_SENT, {"ids": list(reply_ids)})


def put_off(connection: Connection, reply_id: UUID) -> None:
    """This one could not be sent; later it may be."""
    connection.execute(_PUT_OFF, {"id": reply_id, "backoff": list(_BACKOFF)})


_ADD_FOR_QUERIES: Final = """
    INSERT INTO replies (request_id, state)
    SELECT r.id, q.state FROM balance_requests r JOIN balance_queries q ON q.id = r.query_id
    WHERE r.query_id = ANY(%(query_ids)s) AND r.reply_task IS NOT NULL
    ON CONFLICT DO NOTHING
"""

_ADD_FOR_REQUEST: Final = """
    INSERT INTO replies (request_id, state)
    SELECT r.id, coalesce(q.state, %(refused)s)
    FROM balance_requests r LEFT JOIN balance_queries q ON q.id = r.query_id
    WHERE r.id = %(request_id)s AND r.reply_task IS NOT NULL
      AND (r.refusal IS NOT NULL OR q.ended_at IS NOT NULL)
    ON CONFLICT DO NOTHING
"""

_TAKE: Final = """
    SELECT p.id, p.request_id, r.idempotency_key, p.state, r.reply_task AS task, r.reply_queue AS queue,
           r.include_accounts, r.trace_parent
    FROM replies p JOIN balance_requests r ON r.id = p.request_id
    WHERE p.sent_at IS NULL AND p.next_attempt_at <= now()
    ORDER BY p.attempts, p.next_attempt_at LIMIT %(limit)s FOR UPDATE OF p SKIP LOCKED
"""

_SENT: Final = "UPDATE replies SET sent_at = now(), attempts = attempts + 1 WHERE id = ANY(%(ids)s)"

_PUT_OFF: Final = """
    UPDATE replies SET attempts = attempts + 1, next_attempt_at = now() + make_interval(
        secs => (%(backoff)s::int[])[least(attempts + 1, cardinality(%(backoff)s::int[]))]
    )
    WHERE id = %(id)s
"""
