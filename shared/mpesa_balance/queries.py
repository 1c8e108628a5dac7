"""Balance queries in Postgres: one verb a move. Guard and write are one statement."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import sql

from mpesa_balance import outbox, replies
from mpesa_balance.database import Connection
from mpesa_balance.happenings import QueryMoved
from mpesa_balance.ids import time_ordered_id
from mpesa_balance.result_codes import Where, advice_for
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


def lock(connection: Connection, query_ids: Iterable[UUID]) -> None:
    """Wait until nobody else writes to these queries or their attempts."""
    connection.execute(_LOCK, {"ids": list(query_ids)})


def acknowledge(connection: Connection, taken: Mapping[UUID, UUID]) -> set[UUID]:
    """Daraja took these queries, each with the attempt that stands beside it; gives those that moved."""
    endings = {
        query_id: Ending(cause="acknowledgement", attempt_id=attempt_id)
        for query_id, attempt_id in taken.items()
    }
    return _move_all(connection, QueryState.ACKNOWLEDGED, endings)


def complete(connection: Connection, query_id: UUID, ending: Ending) -> Moved:
    """A result carried balances, which the caller stores in the same transaction."""
    moved = _move(connection, query_id, QueryState.COMPLETED, ending)
    if moved is Moved.NOW:
        replies.add_for_queries(connection, [query_id])
    return moved


def complete_all(connection: Connection, endings: Mapping[UUID, Ending]) -> set[UUID]:
    """The same for many queries at once, which the caller has locked; gives those that moved."""
    moved = _move_all(connection, QueryState.COMPLETED, endings)
    replies.add_for_queries(connection, list(moved))
    return moved


def fail(connection: Connection, query_id: UUID, ending: Ending, retry_after: float | None = None) -> Moved:
    """Daraja said no for good, or the last submission attempt did. Operations are told.

    With `retry_after`, in seconds, another query takes its place and its requests, if that can
    still be answered before its deadline; then nobody needs to be told.
    """
    moved = _move(connection, query_id, QueryState.FAILED, ending)
    if moved is Moved.NOW and not _retried(connection, query_id, retry_after):
        code, text = ending.result_code, ending.result_description
        message = f"failed by {ending.cause}, {code or 'no code'}: {text or 'no reason given'}"
        where = Where.RESULT if ending.callback_id else Where.ACKNOWLEDGEMENT
        advice = advice_for(code, text or "", where)
        message += f". {advice}" if advice else ""
        outbox.add(connection, outbox.QUERY_FAILED, message, query_id)
        replies.add_for_queries(connection, [query_id])
    return moved


def retries_of(connection: Connection, query_id: UUID) -> int:
    """How many queries failed before this one took their place."""
    row = connection.execute(_RETRIES, {"id": query_id}).fetchone()
    return int(row["retries"]) if row else 0


def _retried(connection: Connection, query_id: UUID, after: float | None) -> bool:
    if after is None:
        return False
    # Whoever is joining this query at this moment is waited for, and moves on with the others.
    connection.execute(_LOCK_SHORTCODE, {"id": query_id})
    row = {"id": query_id, "new_id": time_ordered_id(), "after": after}
    return bool(connection.execute(_RETRY, row).rowcount)


def time_out(connection: Connection, query_id: UUID, ending: Ending) -> Moved:
    """Daraja sent a queue timeout. Operations are told."""
    moved = _move(connection, query_id, QueryState.TIMED_OUT, ending)
    if moved is Moved.NOW:
        outbox.add(connection, outbox.QUERY_TIMED_OUT, f"timed out by {ending.cause}", query_id)
        replies.add_for_queries(connection, [query_id])
    return moved


def time_out_overdue(connection: Connection, limit: int = 500) -> list[UUID]:
    """Time out what nobody answered before its deadline, by the database clock; at most `limit`."""
    row = {
        "topic": outbox.QUERY_TIMED_OUT,
        "unsent": "nothing was sent before the deadline: is the shortcode suspended, a quota used up?",
        "unanswered": "nobody answered before the deadline",
        "limit": limit,
    }
    found = connection.execute(_TIME_OUT_OVERDUE, row).fetchall()
    for moved in found:
        _happened(connection, moved, QueryState.TIMED_OUT)
    query_ids = [moved["query_id"] for moved in found]
    replies.add_for_queries(connection, query_ids)
    return query_ids


def _move(connection: Connection, query_id: UUID, to: QueryState, ending: Ending) -> Moved:
    if _move_all(connection, to, {query_id: ending}):
        return Moved.NOW
    stands = connection.execute(_STATE, {"id": query_id}).fetchone()
    return Moved.BEFORE if stands and stands["state"] == to else Moved.NOT


def _move_all(connection: Connection, to: QueryState, endings: Mapping[UUID, Ending]) -> set[UUID]:
    columns = {name: [getattr(one, name) for one in endings.values()] for name in _ENDING}
    found = connection.execute(_MOVE[to], {"id": list(endings), **columns}).fetchall()
    for moved in found:
        _happened(connection, moved, to, endings[moved["query_id"]].result_code)
    return {moved["query_id"] for moved in found}


def _happened(
    connection: Connection, moved: Mapping[str, Any], to: QueryState, code: str | None = None
) -> None:
    # A query whose history was taken away has no origin that could be told.
    if moved["origin"] is not None:
        origin = QueryState(moved["origin"])
        connection.happened.append(
            QueryMoved(
                query_id=moved["query_id"],
                origin=origin,
                to=to,
                seconds=moved["seconds"],
                late=moved["late"],
                code=code,
            )
        )


def _literals(states: Sequence[QueryState]) -> sql.Composed:
    # Written into the statement rather than bound, so that the planner can match partial indexes.
    return sql.SQL(", ").join(sql.Literal(str(state)) for state in states)


#: What was written of a move, with where the query had stood before, and for how long.
_TOLD: Final = sql.SQL("""
    SELECT written.query_id, moved.late, before.state AS origin,
           extract(epoch FROM written.happened_at - before.happened_at)::float AS seconds
    FROM written JOIN moved ON moved.id = written.query_id LEFT JOIN LATERAL (
        SELECT state, happened_at FROM query_events WHERE query_id = moved.id ORDER BY id DESC LIMIT 1
    ) before ON true
""")

_ENDING: Final = tuple(one.name for one in fields(Ending))

#: The move to each state: it is made, and written into the history, from its origins only.
_MOVE: Final = {
    to: sql.SQL("""
    WITH moved AS (
        UPDATE balance_queries q SET
            state = {to},
            late = (q.state = 'timed_out'),
            ended_at = CASE WHEN {to} = 'acknowledged' THEN NULL ELSE now() END,
            result_code = ending.result_code,
            result_description = ending.result_description,
            transaction_id = ending.transaction_id,
            completed_at = ending.completed_at
        FROM unnest(
            %(id)s::uuid[], %(cause)s::text[], %(attempt_id)s::uuid[], %(callback_id)s::bigint[],
            %(result_code)s::text[], %(result_description)s::text[], %(transaction_id)s::text[],
            %(completed_at)s::timestamptz[]
        ) AS ending (id, cause, attempt_id, callback_id, result_code, result_description, transaction_id,
                     completed_at)
        WHERE q.id = ending.id AND q.state IN ({origins})
        RETURNING q.id, q.late, ending.cause, ending.attempt_id, ending.callback_id
    ), written AS (
        INSERT INTO query_events (query_id, state, cause, attempt_id, callback_id)
        SELECT id, {to}, cause, attempt_id, callback_id FROM moved
        RETURNING query_id, happened_at
    )
    {told}
    """).format(to=sql.Literal(str(to)), origins=_literals(origins(to)), told=_TOLD)
    for to in QueryState
    if origins(to)
}

#: In one order everywhere: two that share queries must not wait for each other.
_LOCK: Final = "SELECT FROM balance_queries WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE"

_STATE: Final = "SELECT state FROM balance_queries WHERE id = %(id)s"

#: Rows that a callback is writing at this moment are left for the next tick.
_TIME_OUT_OVERDUE: Final = sql.SQL("""
    WITH overdue AS (
        SELECT id FROM balance_queries
        WHERE state IN ({origins}) AND ended_at IS NULL AND NOT late AND deadline_at < now()
        ORDER BY deadline_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE balance_queries q SET state = 'timed_out', ended_at = now()
        FROM overdue WHERE q.id = overdue.id AND q.state IN ({origins})
        RETURNING q.id, q.attempts, q.late
    ), told AS (
        INSERT INTO outbox (topic, query_id, message)
        SELECT %(topic)s, id, CASE attempts WHEN 0 THEN %(unsent)s ELSE %(unanswered)s END FROM moved
    ), written AS (
        INSERT INTO query_events (query_id, state, cause) SELECT id, 'timed_out', 'deadline' FROM moved
        RETURNING query_id, happened_at
    )
    {told}
""").format(origins=_literals(origins(QueryState.TIMED_OUT)), told=_TOLD)

_RETRIES: Final = "SELECT retries FROM balance_queries WHERE id = %(id)s"

_LOCK_SHORTCODE: Final = """
    SELECT FROM shortcodes
    WHERE shortcode = (SELECT shortcode FROM balance_queries WHERE id = %(id)s) FOR NO KEY UPDATE
"""

#: The query that takes a failed one's place has its deadline, and its requests.
_RETRY: Final = """
    WITH successor AS (
        INSERT INTO balance_queries
            (id, shortcode, remarks, forced, deadline_at, next_attempt_at, retry_of, retries)
        SELECT %(new_id)s, shortcode, remarks, forced, deadline_at,
               now() + make_interval(secs => %(after)s), id, retries + 1
        FROM balance_queries
        WHERE id = %(id)s AND state = 'failed' AND NOT late
          AND deadline_at > now() + make_interval(secs => %(after)s)
        RETURNING id
    ), passed_on AS (
        UPDATE balance_requests SET query_id = successor.id FROM successor WHERE query_id = %(id)s
    )
    INSERT INTO query_events (query_id, state, cause)
    SELECT id, 'pending', 'retry of ' || %(id)s::text FROM successor
    RETURNING query_id
"""
