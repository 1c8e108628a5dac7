"""What is known of requests, queries and balances: reads only, opened for those who may see them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from mpesa_balance.answers import AnsweredBy, BalanceAnswer
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound
from mpesa_balance.result_codes import Code, Where, row_for
from mpesa_balance.sealing import Sealer
from mpesa_balance.states import QueryState
from mpesa_balance.stored_balances import open_balance


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a query's timeline."""

    happened_at: datetime
    what: str
    detail: str

    def document(self) -> dict[str, str | None]:
        """The event as JSON has it."""
        return {"at": self.happened_at.isoformat(), "what": self.what, "detail": self.detail}


def of_request(connection: Connection, sealer: Sealer, request_id: UUID) -> BalanceAnswer | None:
    """How a request stands; None while its task has not been taken up."""
    row = connection.execute(_OF_REQUEST, {"id": request_id}).fetchone()
    return _answer(row, sealer) if row else None


def of_query(connection: Connection, sealer: Sealer, query_id: UUID) -> BalanceAnswer:
    """How a query stands, found by its own id or by the id of a request. Raises NotFound."""
    for statement in (_OF_QUERY, _OF_REQUEST):
        if row := connection.execute(statement, {"id": query_id}).fetchone():
            return _answer(row, sealer)
    raise NotFound(f"no query and no request has the id {query_id}: check it, or wait a moment")


def latest(connection: Connection, sealer: Sealer, shortcodes: Iterable[str] | None) -> list[BalanceAnswer]:
    """The newest balance of each of these shortcodes, or of all: by when it stood so, not when it came."""
    return _latest(connection, sealer, shortcodes, days_ago=0)


def since_yesterday(
    connection: Connection, sealer: Sealer, newest: Sequence[BalanceAnswer]
) -> dict[str | None, BalanceAnswer]:
    """What each of these newest balances is compared with, by shortcode: how it stood a day ago.

    That is the last that M-PESA told by then, if it is not days older than that, and not the newest itself.
    """
    own = {one.query_id for one in newest}
    before = _latest(connection, sealer, [one.shortcode or "" for one in newest], days_ago=1)
    return {one.shortcode: one for one in before if one.query_id not in own}


def _latest(
    connection: Connection, sealer: Sealer, shortcodes: Iterable[str] | None, days_ago: int
) -> list[BalanceAnswer]:
    row = {"shortcodes": None if shortcodes is None else list(shortcodes), "days_ago": days_ago}
    rows = connection.execute(_LATEST, row)
    return [_answer(row, sealer) for row in rows]


def in_flight(connection: Connection) -> dict[str, QueryState]:
    """The shortcodes that are being asked for at this moment, with the state of their newest query."""
    rows = connection.execute(_IN_FLIGHT)
    return {row["shortcode"]: QueryState(row["state"]) for row in rows}


def timeline(connection: Connection, query_id: UUID) -> list[Event]:
    """Everything that happened to a query, in order, by the database clock."""
    return [Event(**row) for row in connection.execute(_TIMELINE, {"id": query_id})]


def _answer(row: dict[str, Any], sealer: Sealer) -> BalanceAnswer:
    sealed, by_callback = row.pop("document"), row.pop("by_callback")
    state = QueryState(row["state"]) if row["state"] else None
    code = _code(row, by_callback) if state is QueryState.FAILED else None
    read = {
        "state": state,
        "answered_by": AnsweredBy(row["answered_by"]) if row["answered_by"] else None,
        "warnings": tuple(row["warnings"] or ()),
        "accounts": tuple(open_balance(sealer, row["query_id"], sealed)) if sealed else (),
        "meaning": code and code.meaning,
        "advice": code and code.advice,
        "retryable": code is not None and code.is_retryable,
    }
    return BalanceAnswer(**(row | read))


def _code(row: dict[str, Any], by_callback: bool) -> Code | None:
    """What is known of the code with which a query failed."""
    where = Where.RESULT if by_callback else Where.ACKNOWLEDGEMENT
    return row_for(row["result_code"], row["result_description"] or "", where)


_COLUMNS: Final = """
    q.id AS query_id, q.state, q.result_code, q.result_description, q.completed_at, q.ended_at,
    coalesce(q.late, false) AS late, b.warnings, b.document,
    EXISTS (SELECT FROM query_events e
            WHERE e.query_id = q.id AND e.state = q.state AND e.callback_id IS NOT NULL) AS by_callback
"""

_NOT_ASKED: Final = "NULL AS answered_by, NULL::timestamptz AS next_possible_at"

_OF_REQUEST: Final = f"""
    SELECT r.id AS request_id, r.shortcode, r.refusal, r.answered_by, r.next_possible_at, {_COLUMNS}
    FROM balance_requests r
    LEFT JOIN balance_queries q ON q.id = r.query_id LEFT JOIN balances b ON b.query_id = q.id
    WHERE r.id = %(id)s
"""  # noqa: S608 - both parts are constants above

_OF_QUERY: Final = f"""
    SELECT (SELECT r.id FROM balance_requests r WHERE r.query_id = q.id
            ORDER BY r.requested_at LIMIT 1) AS request_id,
           q.shortcode, NULL AS refusal, {_NOT_ASKED}, {_COLUMNS}
    FROM balance_queries q LEFT JOIN balances b ON b.query_id = q.id
    WHERE q.id = %(id)s
"""  # noqa: S608 - both parts are constants above

#: In days: where M-PESA had told nothing for so long, nobody knows how it stood.
_TOO_OLD: Final = 3

_LATEST: Final = f"""
    SELECT NULL::uuid AS request_id, s.shortcode, NULL AS refusal, {_NOT_ASKED}, {_COLUMNS}
    FROM shortcodes s
    CROSS JOIN LATERAL (SELECT * FROM balances WHERE shortcode = s.shortcode
                          AND (%(days_ago)s = 0 OR as_of BETWEEN
                               now() - make_interval(days => %(days_ago)s + {_TOO_OLD})
                               AND now() - make_interval(days => %(days_ago)s))
                        ORDER BY as_of DESC LIMIT 1) b
    JOIN balance_queries q ON q.id = b.query_id
    WHERE %(shortcodes)s::text[] IS NULL OR s.shortcode = ANY(%(shortcodes)s::text[]) ORDER BY s.shortcode
"""  # noqa: S608 - both parts are constants above

#: In words that the partial index of what is open is made of.
_IN_FLIGHT: Final = """
    SELECT DISTINCT ON (shortcode) shortcode, state FROM balance_queries
    WHERE state IN ('pending', 'acknowledged') AND ended_at IS NULL ORDER BY shortcode, created_at DESC
"""

_TIMELINE: Final = """
    SELECT requested_at AS happened_at, 'asked' AS what,
           concat_ws(' ', 'request', id, replace(answered_by, '_', ' '), 'by ' || requested_by) AS detail
    FROM balance_requests WHERE query_id = %(id)s
    UNION ALL
    SELECT sent_at, 'submitted', concat('attempt ', number) FROM submission_attempts
    WHERE query_id = %(id)s
    UNION ALL
    SELECT answered_at, 'answered', concat_ws(' ', 'attempt', number, replace(state, '_', ' '),
                                              'HTTP ' || http_status, code, description,
                                              originator_conversation_id)
    FROM submission_attempts WHERE query_id = %(id)s AND answered_at IS NOT NULL
    UNION ALL
    SELECT c.recorded_at, 'callback', concat_ws(' ', c.kind, coalesce(c.disposition, 'not settled'),
                                                c.reason, 'x' || nullif(c.deliveries, 1))
    FROM callbacks c JOIN submission_attempts a ON a.id = c.attempt_id WHERE a.query_id = %(id)s
    UNION ALL
    SELECT created_at, 'retried', concat('by query ', id) FROM balance_queries WHERE retry_of = %(id)s
    UNION ALL
    SELECT happened_at, state, concat('by ', cause) FROM query_events WHERE query_id = %(id)s
    ORDER BY happened_at
"""
