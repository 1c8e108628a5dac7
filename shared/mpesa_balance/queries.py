"""Balance queries in Postgres: opening them, and one verb a move. Guard and write are one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from psycopg import sql

from mpesa_balance import outbox
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.database import Connection
from mpesa_balance.states import Moved, QueryState, origins


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ended a query: who said so and what they said."""

    cause: str
    attempt_id: UUID | None = None
    callback_id: int | None = None
    result_code: str | None = None
    result_description: str | None = None
    transaction_id: str | None = None
    completed_at: datetime | None = None


def open_query(
    connection: Connection, request_id: UUID, ask: BalanceAsk, deadline_seconds: int
) -> UUID | None:
    """Record a request and the query that will answer it.

    Returns the query's id, or None where this request is known already and nothing was written.
    """
    row = connection.execute(
        _OPEN,
        {
            "request_id": request_id,
            "query_id": uuid4(),
            "shortcode": ask.shortcode,
            "key": ask.idempotency_key,
            "requested_by": ask.requested_by,
            "remarks": ask.remarks,
            "deadline": deadline_seconds,
        },
    ).fetchone()
    return row["query_id"] if row else None


def refuse_request(connection: Connection, request_id: UUID, shortcode: str | None, refusal: str) -> bool:
    """Record a request that cannot be done, with the reason. False where it was recorded already."""
    row = {"request_id": request_id, "shortcode": shortcode, "refusal": refusal}
    return bool(connection.execute(_REFUSE_REQUEST, row).rowcount)


def lock(connection: Connection, query_id: UUID) -> None:
    """Wait until nobody else writes to this query or its attempts."""
    connection.execute(_LOCK, {"id": query_id})


def acknowledge(connection: Connection, query_id: UUID, attempt_id: UUID) -> Moved:
    """Daraja took the query."""
    ending = Ending(cause="acknowledgement", attempt_id=attempt_id)
    return _move(connection, query_id, QueryState.ACKNOWLEDGED, ending)


def complete(connection: Connection, query_id: UUID, ending: Ending) -> Moved:
    """A result carried balances, which the caller stores in the same transaction."""
    return _move(connection, query_id, QueryState.COMPLETED, ending)


def fail(connection: Connection, query_id: UUID, ending: Ending) -> Moved:
    """Daraja said no for good, or the last submission attempt did. Operations are told."""
    moved = _move(connection, query_id, QueryState.FAILED, ending)
    if moved is Moved.NOW:
        said = f"{ending.result_code or 'no code'}: {ending.result_description or 'no reason given'}"
        outbox.add(connection, outbox.QUERY_FAILED, f"failed by {ending.cause}, {said}", query_id)
    return moved


def time_out(connection: Connection, query_id: UUID, ending: Ending) -> Moved:
    """Daraja sent a queue timeout. Operations are told."""
    moved = _move(connection, query_id, QueryState.TIMED_OUT, ending)
    if moved is Moved.NOW:
        outbox.add(connection, outbox.QUERY_TIMED_OUT, f"timed out by {ending.cause}", query_id)
    return moved


def time_out_overdue(connection: Connection, limit: int = 500) -> list[UUID]:
    """Time out what nobody answered before its deadline, by the database clock; at most `limit`."""
    message = "nobody answered before the deadline"
    row = {"topic": outbox.QUERY_TIMED_OUT, "message": message, "limit": limit}
    return [moved["query_id"] for moved in connection.execute(_TIME_OUT_OVERDUE, row)]


def ring_due(connection: Connection, again_after_seconds: int, limit: int = 500) -> list[UUID]:
    """The queries whose submission task must be sent (again), marked as rung; at most `limit`."""
    row = {"again": again_after_seconds, "limit": limit}
    return [due["id"] for due in connection.execute(_RING_DUE, row)]


def _move(connection: Connection, query_id: UUID, to: QueryState, ending: Ending) -> Moved:
    row = {
        "id": query_id,
        "cause": ending.cause,
        "attempt_id": ending.attempt_id,
        "callback_id": ending.callback_id,
        "result_code": ending.result_code,
        "result_description": ending.result_description,
        "transaction_id": ending.transaction_id,
        "completed_at": ending.completed_at,
    }
    if connection.execute(_MOVE[to], row).rowcount:
        return Moved.NOW
    stands = connection.execute(_STATE, {"id": query_id}).fetchone()
    return Moved.BEFORE if stands and stands["state"] == to else Moved.NOT


def _literals(states: Sequence[QueryState]) -> sql.Composed:
    # Written into the statement rather than bound, so that the planner can match partial indexes.
    return sql.SQL(", ").join(sql.Literal(str(state)) for state in states)


#: A request and its query. A request that has a query already writes nothing; one that was refused
#: is opened after all, once what was wrong with it is mended.
_OPEN: Final = """
    WITH request AS (
        INSERT INTO balance_requests (id, shortcode, idempotency_key, requested_by, query_id)
        VALUES (%(request_id)s, %(shortcode)s, %(key)s, %(requested_by)s, %(query_id)s)
        ON CONFLICT (id) DO UPDATE SET
            query_id = excluded.query_id, refusal = NULL, idempotency_key = excluded.idempotency_key,
            requested_by = excluded.requested_by, requested_at = now()
        WHERE balance_requests.refusal IS NOT NULL
        RETURNING query_id
    ), query AS (
        INSERT INTO balance_queries (id, shortcode, remarks, deadline_at)
        SELECT query_id, %(shortcode)s, %(remarks)s, now() + make_interval(secs => %(deadline)s)
        FROM request
        RETURNING id
    )
    INSERT INTO query_events (query_id, state, cause) SELECT id, 'pending', 'request' FROM query
    RETURNING query_id
"""

_REFUSE_REQUEST: Final = """
    INSERT INTO balance_requests (id, shortcode, refusal)
    VALUES (%(request_id)s, %(shortcode)s, %(refusal)s)
    ON CONFLICT (id) DO NOTHING
"""

#: The move to each state: it is made, and written into the history, from its origins only.
_MOVE: Final = {
    to: sql.SQL("""
    WITH moved AS (
        UPDATE balance_queries SET
            state = {to},
            late = (state = 'timed_out'),
            ended_at = CASE WHEN {to} = 'acknowledged' THEN NULL ELSE now() END,
            result_code = %(result_code)s,
            result_description = %(result_description)s,
            transaction_id = %(transaction_id)s,
            completed_at = %(completed_at)s
        WHERE id = %(id)s AND state IN ({origins})
        RETURNING id
    )
    INSERT INTO query_events (query_id, state, cause, attempt_id, callback_id)
    SELECT id, {to}, %(cause)s, %(attempt_id)s, %(callback_id)s FROM moved
    """).format(to=sql.Literal(str(to)), origins=_literals(origins(to)))
    for to in QueryState
    if origins(to)
}

_LOCK: Final = "SELECT FROM balance_queries WHERE id = %(id)s FOR NO KEY UPDATE"

_STATE: Final = "SELECT state FROM balance_queries WHERE id = %(id)s"

#: Rows that a callback is writing at this moment are left for the next tick.
_TIME_OUT_OVERDUE: Final = sql.SQL("""
    WITH overdue AS (
        SELECT id FROM balance_queries
        WHERE state IN ({origins}) AND deadline_at < now()
        ORDER BY deadline_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE balance_queries q SET state = 'timed_out', ended_at = now()
        FROM overdue WHERE q.id = overdue.id AND q.state IN ({origins})
        RETURNING q.id
    ), told AS (
        INSERT INTO outbox (topic, query_id, message) SELECT %(topic)s, id, %(message)s FROM moved
    )
    INSERT INTO query_events (query_id, state, cause) SELECT id, 'timed_out', 'deadline' FROM moved
    RETURNING query_id
""").format(origins=_literals(origins(QueryState.TIMED_OUT)))

_RING_DUE: Final = """
    WITH due AS (
        SELECT q.id FROM balance_queries q JOIN shortcodes s USING (shortcode)
        WHERE q.state = 'pending' AND q.next_attempt_at <= now() AND s.suspended_at IS NULL
          AND (q.rung_at < q.next_attempt_at OR q.rung_at < now() - make_interval(secs => %(again)s))
        ORDER BY q.next_attempt_at LIMIT %(limit)s FOR UPDATE OF q SKIP LOCKED
    )
    UPDATE balance_queries q SET rung_at = now() FROM due WHERE q.id = due.id RETURNING q.id
"""
