"""Queries in lists and their attempts, for people and the API: reads only, without amounts."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import sql

from mpesa_balance.database import Connection
from mpesa_balance.states import OPEN, QueryState


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A query in a list."""

    id: UUID
    shortcode: str
    state: QueryState
    late: bool
    attempts: int
    created_at: datetime
    ended_at: datetime | None
    result_code: str | None
    result_description: str | None

    def document(self) -> dict[str, Any]:
        """The query as JSON has it."""
        return {
            "id": str(self.id),
            "shortcode": self.shortcode,
            "state": self.state,
            "late": self.late,
            "attempts": self.attempts,
            "created_at": self.created_at.isoformat(),
            "ended_at": self.ended_at and self.ended_at.isoformat(),
            "result_code": self.result_code,
            "result_description": self.result_description,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One time that a query was put to Daraja, and what Daraja said. code: as Daraja sent it."""

    number: int
    state: str
    sent_at: datetime
    answered_at: datetime | None
    http_status: int | None
    code: str | None
    description: str | None
    originator_conversation_id: str | None


def newest(
    connection: Connection,
    *,
    shortcodes: Iterable[str] | None = None,
    state: QueryState | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[Listed]:
    """The newest queries, or those that were opened before another one, newest first.

    shortcodes: of which they are; None for all. state: in which they are; None for any.
    before: of these shortcodes, where they are named: before another's there are none, as before one that
        is not there.
    """
    statement = _OF_ALL if shortcodes is None else _OF_SOME
    row = {"shortcodes": list(shortcodes or ()), "before": before, "limit": limit}
    rows = connection.execute(statement.format(condition=_conditions(state)), row)
    return [Listed(**(found | {"state": QueryState(found["state"])})) for found in rows]


def attempts_of(connection: Connection, query_id: UUID) -> list[Attempt]:
    """Every attempt of a query, in order."""
    return [Attempt(**row) for row in connection.execute(_ATTEMPTS, {"id": query_id})]


def _conditions(state: QueryState | None) -> sql.Composable:
    # Written into the statement rather than bound, so that the planner can match partial indexes.
    if state is None:
        return sql.SQL("true")
    condition = sql.SQL("state = {}").format(sql.Literal(str(state)))
    return condition + sql.SQL(" AND ended_at IS NULL") if state in OPEN else condition


_COLUMNS: Final = ", ".join(one.name for one in fields(Listed))

#: Ids are made in the order of time.
_OF_ALL: Final = sql.SQL(
    f"""
    SELECT {_COLUMNS} FROM balance_queries
    WHERE {{condition}} AND (%(before)s::uuid IS NULL OR id < %(before)s::uuid)
    ORDER BY id DESC LIMIT %(limit)s
"""  # noqa: S608 - of our own words
)

#: By the index of each shortcode: one that is seldom asked must not be looked for among all.
_OF_SOME: Final = sql.SQL(
    f"""
    SELECT {_COLUMNS} FROM unnest(%(shortcodes)s::text[]) wanted (name) CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM balance_queries
        WHERE shortcode = wanted.name AND {{condition}} AND (
            %(before)s::uuid IS NULL OR (created_at, id) < (
                SELECT created_at, id FROM balance_queries
                WHERE id = %(before)s::uuid AND shortcode = ANY(%(shortcodes)s::text[])))
        ORDER BY created_at DESC, id DESC LIMIT %(limit)s
    ) found ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - of our own words
)

_ATTEMPTS: Final = """
    SELECT number, state, sent_at, answered_at, http_status, code, description, originator_conversation_id
    FROM submission_attempts WHERE query_id = %(id)s ORDER BY number
"""
