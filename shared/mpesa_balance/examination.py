"""What the rules for alerts look at in Postgres: new balances, those before them, and where none came."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from mpesa_balance.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A balance as it is stored. A late one stood so before another that was examined already."""

    query_id: UUID
    shortcode: str
    as_of: datetime
    recorded_at: datetime
    document: bytes = field(repr=False)
    is_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """A shortcode, since when it has no newer balance (or is registered), and whether that is long."""

    shortcode: str
    since: datetime
    is_stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is known of the query that a notice is about."""

    shortcode: str
    result_code: str | None
    result_description: str | None
    #: M-PESA gave the shortcode's balance after that.
    is_answered: bool


def unexamined(connection: Connection, limit: int) -> list[Stored]:
    """New balances, in the order in which they stood so."""
    return [Stored(**row) for row in connection.execute(_UNEXAMINED, {"limit": limit})]


def before(connection: Connection, new: Stored, minutes: int) -> list[Stored]:
    """The balances of the shortcode that stood so before `new`, newest first: the last one, and all
    within so many minutes."""
    row = {
        "shortcode": new.shortcode,
        "as_of": new.as_of,
        "recorded_at": new.recorded_at,
        "minutes": minutes,
    }
    return [Stored(**found) for found in connection.execute(_BEFORE, row)]


def examined(connection: Connection, query_ids: Iterable[UUID]) -> None:
    """These need not be examined again."""
    connection.execute(_EXAMINED, {"query_ids": list(query_ids)})


def freshness(connection: Connection, shortcode: str | None, minutes: int) -> list[Freshness]:
    """How fresh the newest balance of a shortcode is, or of each; `minutes` without one are long."""
    row = {"shortcode": shortcode, "minutes": minutes}
    return [Freshness(**found) for found in connection.execute(_FRESHNESS, row)]


def asked(connection: Connection, query_id: UUID) -> Asked | None:
    """What is known of a query."""
    row = connection.execute(_ASKED, {"id": query_id}).fetchone()
    return Asked(**row) if row else None


_UNEXAMINED: Final = """
    SELECT b.query_id, b.shortcode, b.as_of, b.recorded_at, b.document,
           EXISTS (SELECT FROM balances later
                   WHERE later.shortcode = b.shortcode AND later.examined_at IS NOT NULL
                     AND (later.as_of, later.recorded_at) > (b.as_of, b.recorded_at)) AS is_late
    FROM balances b WHERE b.examined_at IS NULL ORDER BY b.as_of, b.recorded_at LIMIT %(limit)s
"""

_BEFORE: Final = """
    (SELECT query_id, shortcode, as_of, recorded_at, document FROM balances
     WHERE shortcode = %(shortcode)s AND as_of >= %(as_of)s - make_interval(mins => %(minutes)s)
       AND (as_of, recorded_at) < (%(as_of)s, %(recorded_at)s))
    UNION
    (SELECT query_id, shortcode, as_of, recorded_at, document FROM balances
     WHERE shortcode = %(shortcode)s AND (as_of, recorded_at) < (%(as_of)s, %(recorded_at)s)
     ORDER BY as_of DESC, recorded_at DESC LIMIT 1)
    ORDER BY as_of DESC, recorded_at DESC
"""

_EXAMINED: Final = "UPDATE balances SET examined_at = now() WHERE query_id = ANY(%(query_ids)s)"

#: A balance that came late is no fresher for that.
_FRESHNESS: Final = """
    SELECT s.shortcode, coalesce(newest.as_of, s.created_at) AS since,
           coalesce(newest.as_of, s.created_at) < now() - make_interval(mins => %(minutes)s) AS is_stale
    FROM shortcodes s
    LEFT JOIN LATERAL (SELECT as_of FROM balances WHERE shortcode = s.shortcode
                       ORDER BY as_of DESC LIMIT 1) newest ON true
    WHERE s.shortcode = coalesce(%(shortcode)s, s.shortcode)
"""

_ASKED: Final = """
    SELECT q.shortcode, q.result_code, q.result_description,
           EXISTS (SELECT FROM balances b
                   WHERE b.shortcode = q.shortcode AND b.recorded_at >= q.ended_at) AS is_answered
    FROM balance_queries q WHERE q.id = %(id)s
"""
