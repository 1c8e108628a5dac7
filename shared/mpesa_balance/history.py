"""What is known of requests, queries and balances: reads only, opened for those who may see them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from mpesa_balance.balance_requests import AnsweredBy
from mpesa_balance.balances import Account
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound
from mpesa_balance.inbox import open_balance
from mpesa_balance.result_codes import Code, Where, row_for
from mpesa_balance.sealing import Sealer
from mpesa_balance.states import OPEN, QueryState


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a request stands. A refused one has a refusal, and neither query nor state."""

    request_id: UUID | None
    query_id: UUID | None
    shortcode: str | None
    state: QueryState | None
    refusal: str | None
    result_code: str | None
    result_description: str | None
    completed_at: datetime | None
    ended_at: datetime | None
    late: bool
    by_callback: bool = field(repr=False)
    answered_by: AnsweredBy | None
    next_possible_at: datetime | None
    warnings: tuple[str, ...]
    accounts: tuple[Account, ...] = field(repr=False)

    @property
    def code(self) -> Code | None:
        """What is known of the code with which it failed."""
        if self.state is not QueryState.FAILED:
            return None
        where = Where.RESULT if self.by_callback else Where.ACKNOWLEDGEMENT
        return row_for(self.result_code, self.result_description or "", where)

    @property
    def is_open(self) -> bool:
        """Whether an answer is still to come."""
        return self.state in OPEN

    def document(self) -> dict[str, Any]:
        """The standing as JSON has it: instants in ISO 8601 with zone, amounts as strings."""
        return {
            "request_id": _text(self.request_id),
            "query_id": _text(self.query_id),
            "shortcode": self.shortcode,
            "state": self.state,
            "accounts": [account.document() for account in self.accounts],
            "completed_at": _iso(self.completed_at),
            "ended_at": _iso(self.ended_at),
            "late": self.late,
            "result_code": self.result_code,
            "result_description": self.result_description,
            "meaning": self.code and self.code.meaning,
            "advice": self.code and self.code.advice,
            "retryable": self.code is not None and self.code.is_retryable,
            "answered_by": self.answered_by,
            "next_possible_at": _iso(self.next_possible_at),
            "warnings": list(self.warnings),
            "refusal": self.refusal,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a query's timeline."""

    happened_at: datetime
    what: str
    detail: str

    def document(self) -> dict[str, str | None]:
        """The event as JSON has it."""
        return {"at": _iso(self.happened_at), "what": self.what, "detail": self.detail}


def of_request(connection: Connection, sealer: Sealer, request_id: UUID) -> Standing | None:
    """How a request stands; None while its task has not been taken up."""
    row = connection.execute(_OF_REQUEST, {"id": request_id}).fetchone()
    return _standing(row, sealer) if row else None


def of_query(connection: Connection, sealer: Sealer, query_id: UUID) -> Standing:
    """How a query stands, found by its own id or by the id of a request. Raises NotFound."""
    for statement in (_OF_QUERY, _OF_REQUEST):
        if row := connection.execute(statement, {"id": query_id}).fetchone():
            return _standing(row, sealer)
    raise NotFound(f"no query and no request has the id {query_id}: check it, or wait a moment")


def latest(connection: Connection, sealer: Sealer, shortcode: str | None) -> list[Standing]:
    """The newest balance of one shortcode, or of each: by when it stood so, not by when it came."""
    rows = connection.execute(_LATEST, {"shortcode": shortcode})
    return [_standing(row, sealer) for row in rows]


def timeline(connection: Connection, query_id: UUID) -> list[Event]:
    """Everything that happened to a query, in order, by the database clock."""
    return [Event(**row) for row in connection.execute(_TIMELINE, {"id": query_id})]


def _standing(row: dict[str, Any], sealer: Sealer) -> Standing:
    sealed = row.pop("document")
    state = QueryState(row["state"]) if row["state"] else None
    answered_by = AnsweredBy(row["answered_by"]) if row["answered_by"] else None
    warnings = tuple(row["warnings"] or ())
    accounts = tuple(open_balance(sealer, row["query_id"], sealed)) if sealed else ()
    read = {"state": state, "answered_by": answered_by, "warnings": warnings, "accounts": accounts}
    return Standing(**(row | read))


def _text(value: UUID | None) -> str | None:
    return str(value) if value else None


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


_ANSWER: Final = """
    q.id AS query_id, q.state, q.result_code, q.result_description, q.completed_at, q.ended_at,
    coalesce(q.late, false) AS late, b.warnings, b.document,
    EXISTS (SELECT FROM query_events e
            WHERE e.query_id = q.id AND e.state = q.state AND e.callback_id IS NOT NULL) AS by_callback
"""

_NOT_ASKED: Final = "NULL AS answered_by, NULL::timestamptz AS next_possible_at"

_OF_REQUEST: Final = f"""
    SELECT r.id AS request_id, r.shortcode, r.refusal, r.answered_by, r.next_possible_at, {_ANSWER}
    FROM balance_requests r
    LEFT JOIN balance_queries q ON q.id = r.query_id LEFT JOIN balances b ON b.query_id = q.id
    WHERE r.id = %(id)s
"""  # noqa: S608 - both parts are constants above

_OF_QUERY: Final = f"""
    SELECT (SELECT r.id FROM balance_requests r WHERE r.query_id = q.id
            ORDER BY r.requested_at LIMIT 1) AS request_id,
           q.shortcode, NULL AS refusal, {_NOT_ASKED}, {_ANSWER}
    FROM balance_queries q LEFT JOIN balances b ON b.query_id = q.id
    WHERE q.id = %(id)s
"""  # noqa: S608 - both parts are constants above

_LATEST: Final = f"""
    SELECT NULL::uuid AS request_id, s.shortcode, NULL AS refusal, {_NOT_ASKED}, {_ANSWER}
    FROM shortcodes s
    CROSS JOIN LATERAL (SELECT * FROM balances WHERE shortcode = s.shortcode
                        ORDER BY as_of DESC LIMIT 1) b
    JOIN balance_queries q ON q.id = b.query_id
    WHERE s.shortcode = coalesce(%(shortcode)s, s.shortcode) ORDER BY s.shortcode
"""  # noqa: S608 - both parts are constants above

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
