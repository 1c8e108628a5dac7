"""What callers ask, in Postgres: answered by a balance at hand, by the query in flight, or by a new one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from mpesa_balance.answers import AnsweredBy
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.database import Connection
from mpesa_balance.ids import time_ordered_id


@dataclass(frozen=True, slots=True)
class Answer:
    """The query that answers a request, and when the next one may be asked where it is too soon.

    app: in whose line a query stands that is not there yet; None for one that is.
    """

    query_id: UUID
    answered_by: AnsweredBy
    next_possible_at: datetime | None = None
    app: str | None = None

    @property
    def is_at_hand(self) -> bool:
        """Whether nothing has to be sent for it."""
        return self.answered_by in (AnsweredBy.REUSED, AnsweredBy.TOO_SOON)


class Found(NamedTuple):
    """Whether a request has its query already, and what would answer it without a new one."""

    is_answered: bool
    answer: Answer | None


def find(connection: Connection, request_id: UUID, ask: BalanceAsk, minimum_interval: int) -> Found:
    """Look for the query that answers this ask; at the gate of its shortcode (see `shortcodes.askable`).

    A balance is as old as M-PESA says, or as its arrival where that is longer ago. The interval
    starts with a query that brought a balance: it keeps from asking what is known already.
    """
    row = {
        "request_id": request_id,
        "shortcode": ask.shortcode,
        "force": ask.force,
        "max_age": ask.max_age,
        "interval": minimum_interval,
    }
    (found,) = connection.execute(_FIND, row).fetchall()
    if found["id"] is None:
        return Found(found["is_answered"], None)
    answer = Answer(found["id"], AnsweredBy(found["answered_by"]), found["next_possible_at"])
    return Found(found["is_answered"], answer)


def new_answer(app: str | None) -> Answer:
    """A query that is not there yet."""
    return Answer(time_ordered_id(), AnsweredBy.OPENED, app=app)


def record(
    connection: Connection,
    request_id: UUID,
    ask: BalanceAsk,
    answer: Answer,
    deadline_seconds: int,
    trace_parent: str | None = None,
) -> bool:
    """Record a request with its answer, and open the query where it is a new one.

    trace_parent: the W3C traceparent of its caller.
    False where this request is known already and nothing was written.
    """
    row = {
        "request_id": request_id,
        "query_id": answer.query_id,
        "answered_by": answer.answered_by,
        "next_possible_at": answer.next_possible_at,
        "opens": answer.answered_by is AnsweredBy.OPENED,
        "shortcode": ask.shortcode,
        "key": ask.idempotency_key,
        "requested_by": ask.requested_by,
        "remarks": ask.remarks,
        "forced": ask.force,
        "deadline": deadline_seconds,
        "trace_parent": trace_parent,
        **_reply(ask),
    }
    return bool(connection.execute(_RECORD, row).rowcount)


def refuse(
    connection: Connection,
    request_id: UUID,
    shortcode: str | None,
    refusal: str,
    ask: BalanceAsk | None = None,
) -> bool:
    """Record a request that cannot be done, with the reason. False where it was recorded already."""
    row = {
        "request_id": request_id,
        "shortcode": shortcode,
        "refusal": refusal,
        "key": ask.idempotency_key if ask else None,
        "requested_by": ask.requested_by if ask else None,
        **_reply(ask),
    }
    return bool(connection.execute(_REFUSE, row).rowcount)


def _reply(ask: BalanceAsk | None) -> dict[str, Any]:
    """Whom to tell of the ending."""
    to = (ask and ask.reply_to) or {}
    return {
        "reply_task": to.get("task"),
        "reply_queue": to.get("queue"),
        "include_accounts": ask is not None and ask.include_accounts,
    }


#: In the order of what serves the caller best: young enough, on its way, at hand.
_FIND: Final = """
    SELECT EXISTS (
        SELECT FROM balance_requests WHERE id = %(request_id)s AND query_id IS NOT NULL
    ) AS is_answered, found.id, found.answered_by, found.next_possible_at
    FROM (SELECT 1) one LEFT JOIN LATERAL (
        SELECT id, answered_by, next_possible_at FROM (
            (SELECT 1 AS rank, query_id AS id, 'reused' AS answered_by,
                    NULL::timestamptz AS next_possible_at
             FROM balances
             WHERE shortcode = %(shortcode)s AND as_of >= now() - make_interval(secs => %(max_age)s::int)
               AND recorded_at >= now() - make_interval(secs => %(max_age)s::int)
             ORDER BY as_of DESC LIMIT 1)
            UNION ALL
            (SELECT 2, id, 'joined', NULL FROM balance_queries
             WHERE shortcode = %(shortcode)s AND state IN ('pending', 'acknowledged') AND ended_at IS NULL
             ORDER BY created_at LIMIT 1)
            UNION ALL
            (SELECT 3, id, 'too_soon', created_at + make_interval(secs => %(interval)s) FROM balance_queries
             WHERE shortcode = %(shortcode)s AND state = 'completed'
               AND created_at > now() - make_interval(secs => %(interval)s)
             ORDER BY created_at DESC LIMIT 1)
        ) any_of_them WHERE NOT %(force)s ORDER BY rank LIMIT 1
    ) found ON true
"""

#: A request that has a query already writes nothing; one that was refused is answered after all,
#: once what was wrong with it is mended.
_RECORD: Final = """
    WITH request AS (
        INSERT INTO balance_requests
            (id, shortcode, idempotency_key, requested_by, query_id, answered_by, next_possible_at,
             reply_task, reply_queue, include_accounts, trace_parent)
        VALUES (%(request_id)s, %(shortcode)s, %(key)s, %(requested_by)s, %(query_id)s,
                %(answered_by)s, %(next_possible_at)s,
                %(reply_task)s, %(reply_queue)s, %(include_accounts)s, %(trace_parent)s)
        ON CONFLICT (id) DO UPDATE SET
            query_id = excluded.query_id, refusal = NULL, idempotency_key = excluded.idempotency_key,
            requested_by = excluded.requested_by, requested_at = now(),
            answered_by = excluded.answered_by, next_possible_at = excluded.next_possible_at,
            reply_task = excluded.reply_task, reply_queue = excluded.reply_queue,
            include_accounts = excluded.include_accounts, trace_parent = excluded.trace_parent
        WHERE balance_requests.refusal IS NOT NULL
        RETURNING query_id
    ), query AS (
        INSERT INTO balance_queries (id, shortcode, remarks, forced, deadline_at)
        SELECT query_id, %(shortcode)s, %(remarks)s, %(forced)s,
               now() + make_interval(secs => %(deadline)s)
        FROM request WHERE %(opens)s
        RETURNING id
    ), event AS (
        INSERT INTO query_events (query_id, state, cause) SELECT id, 'pending', 'request' FROM query
    )
    SELECT query_id FROM request
"""

_REFUSE: Final = """
    INSERT INTO balance_requests
        (id, shortcode, idempotency_key, requested_by, refusal, reply_task, reply_queue, include_accounts)
    VALUES (%(request_id)s, %(shortcode)s, %(key)s, %(requested_by)s, %(refusal)s,
            %(reply_task)s, %(reply_queue)s, %(include_accounts)s)
    ON CONFLICT (id) DO NOTHING
"""
