"""What a trace shows of a request: read from what Postgres has of it, once it has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from mpesa_balance.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A submission to Daraja, and the callback that answered it; instants are aware UTC, None for never."""

    attempt_id: UUID
    number: int
    state: str
    http_status: int | None
    sent_at: datetime
    answered_at: datetime | None
    received_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A request that has ended. trace_parent: its caller's W3C traceparent, None where it had none."""

    request_id: UUID
    trace_parent: str | None
    requested_at: datetime
    requested_by: str | None
    answered_by: str
    shortcode: str
    query_id: UUID
    state: str
    result_code: str | None
    ended_at: datetime
    exchanges: tuple[Exchange, ...]


def ended(connection: Connection, query_ids: Sequence[UUID], request_ids: Sequence[UUID]) -> list[Trace]:
    """The requests that these queries have answered, and these requests, where they have ended."""
    row = {"query_ids": list(query_ids), "request_ids": list(request_ids)}
    found = connection.execute(_REQUESTS, row).fetchall()
    query_ids = list({one["query_id"] for one in found if one["answered_by"] in ("opened", "joined")})
    exchanges: dict[UUID, list[Exchange]] = {}
    for one in connection.execute(_EXCHANGES, {"query_ids": query_ids}):
        exchanges.setdefault(one.pop("query_id"), []).append(Exchange(**one))
    return [Trace(exchanges=tuple(exchanges.get(one["query_id"], ())), **one) for one in found]


_REQUESTS: Final = """
    SELECT r.id AS request_id, r.trace_parent, r.requested_at, r.requested_by, r.answered_by, q.shortcode,
           q.id AS query_id, q.state, q.result_code, greatest(q.ended_at, r.requested_at) AS ended_at
    FROM balance_requests r JOIN balance_queries q ON q.id = r.query_id
    WHERE (r.query_id = ANY(%(query_ids)s::uuid[]) OR r.id = ANY(%(request_ids)s::uuid[]))
      AND q.ended_at IS NOT NULL AND r.answered_by IS NOT NULL
"""

_EXCHANGES: Final = """
    SELECT a.query_id, a.id AS attempt_id, a.number, a.state, a.http_status, a.sent_at, a.answered_at,
           (SELECT min(c.received_at) FROM callbacks c WHERE c.attempt_id = a.id) AS received_at
    FROM submission_attempts a WHERE a.query_id = ANY(%(query_ids)s::uuid[]) ORDER BY a.number
"""
