"""What callers ask, in Postgres: answered by a balance at hand, by the query in flight, or by a new one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from mpesa_balance.answers import AnsweredBy
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.database import Connection


@dataclass(frozen=True, slots=True)
class Answer:
    """The query that answers a request, and when the next one may be asked where it is too soon."""

    query_id: UUID
    answered_by: AnsweredBy
    next_possible_at: datetime | None = None

    @property
    def is_at_hand(self) -> bool:
        """Whether nothing has to be sent for it."""
        return self.answered_by in (AnsweredBy.REUSED, AnsweredBy.TOO_SOON)


def lock(connection: Connection, shortcode: str) -> None:
    """Wait until nobody else answers a request for this shortcode."""
    connection.execute(_LOCK, {"shortcode": shortcode})


def is_answered(connection: Connection, request_id: UUID) -> bool:
    """Whether this request has a query already."""
    return bool(connection.execute(_IS_ANSWERED, {"id": request_id}).rowcount)


def existing_answer(connection: Connection, ask: BalanceAsk, minimum_interval: int) -> Answer | None:
    """The query that answers this ask without a new one; None where a new one is wanted.

    A balance is as old as M-PESA says, or as its arrival where that is longer ago. The interval
    starts with a query that brought a balance: it keeps from asking what is known already.
    """
    if ask.force:
        return None
    row = {"shortcode": ask.shortcode, "max_age": ask.max_age, "interval": minimum_interval}
    found = connection.execute(_EXISTING, row).fetchone()
    if found is None:
        return None
    return Answer(found["id"], AnsweredBy(found["answered_by"]), found["next_possible_at"])


def new_answer() -> Answer:
    """A query that is not there yet."""
    return Answer(uuid4(), AnsweredBy.OPENED)


def record(
    connection: Connection,
    request_id: UUID,
    ask: BalanceAsk,
    answer: Answer,
    deadline_seconds: int,
    trace_parent: str | None = None,
    *,
    rings: bool = True,
) -> bool:
    """Record a request with its answer, and open the query where it is a new one.

    trace_parent: the W3C traceparent of its caller. rings: whether the caller rings for the query; what
    nobody rings for, `line` rings for in its turn.
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
        "rings": rings,
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


# The shortcode's row is the gate of all its requests: without it, two that come at once would both
# find nothing in flight.
_LOCK: Final = "SELECT FROM shortcodes WHERE shortcode = %(shortcode)s FOR NO KEY UPDATE"

_IS_ANSWERED: Final = "SELECT FROM balance_requests WHERE id = %(id)s AND query_id IS NOT NULL"

#: In the order of what serves the caller best: young enough, on its way, at hand.
_EXISTING: Final = """
    SELECT id, answered_by, next_possible_at FROM (
        (SELECT 1 AS rank, query_id AS id, 'reused' AS answered_by, NULL::timestamptz AS next_possible_at
         FROM balances
         WHERE shortcode = %(shortcode)s
           AND least(as_of, recorded_at) >= now() - make_interval(secs => %(max_age)s::int)
         ORDER BY as_of DESC LIMIT 1)
        UNION ALL
        (SELECT 2, id, 'joined', NULL FROM balance_queries
         WHERE shortcode = %(shortcode)s AND state IN ('pending', 'acknowledged')
         ORDER BY created_at LIMIT 1)
        UNION ALL
        (SELECT 3, id, 'too_soon', created_at + make_interval(secs => %(interval)s) FROM balance_queries
         WHERE shortcode = %(shortcode)s AND state = 'completed'
           AND created_at > now() - make_interval(secs => %(interval)s)
         ORDER BY created_at DESC LIMIT 1)
    ) found ORDER BY rank LIMIT 1
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
        INSERT INTO balance_queries (id, shortcode, remarks, forced, deadline_at, rung_at)
        SELECT query_id, %(shortcode)s, %(remarks)s, %(forced)s,
               now() + make_interval(secs => %(deadline)s),
               CASE WHEN %(rings)s THEN now() ELSE '-infinity' END
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
