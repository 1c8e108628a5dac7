"""Balances over time: few enough points of them for a line. Reads only, for those who may see them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from mpesa_balance.balances import Account
from mpesa_balance.database import Connection
from mpesa_balance.sealing import Sealer
from mpesa_balance.stored_balances import open_balance


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A balance of a shortcode and when it stood so."""

    shortcode: str
    query_id: UUID
    as_of: datetime
    accounts: tuple[Account, ...] = field(repr=False)


def newest(connection: Connection, sealer: Sealer, shortcodes: Iterable[str], most: int) -> list[Point]:
    """The newest balances of each of these shortcodes, at most so many of each, oldest first."""
    row = {"shortcodes": list(shortcodes), "most": most}
    return list(_points(connection.execute(_NEWEST, row), sealer))


def between(
    connection: Connection, sealer: Sealer, shortcode: str, since: datetime, until: datetime, most: int
) -> list[Point]:
    """The balances of a shortcode from an instant up to, and without, another, oldest first.

    Where there are more than `most`, the period is cut into so many equal parts, and the last balance of
    each part is given.
    """
    row = {"shortcode": shortcode, "since": since, "until": until, "most": most}
    return list(_points(connection.execute(_BETWEEN, row), sealer))


def _points(rows: Iterable[dict[str, Any]], sealer: Sealer) -> Iterator[Point]:
    for row in rows:
        accounts = tuple(open_balance(sealer, row["query_id"], row.pop("document")))
        yield Point(**row, accounts=accounts)


_NEWEST: Final = """
    SELECT b.shortcode, b.query_id, b.as_of, b.document
    FROM unnest(%(shortcodes)s::text[]) wanted (shortcode)
    CROSS JOIN LATERAL (
        SELECT shortcode, query_id, as_of, document FROM balances WHERE shortcode = wanted.shortcode
        ORDER BY as_of DESC LIMIT %(most)s
    ) b ORDER BY b.shortcode, b.as_of
"""

#: What is sealed is fetched for the points only, and not for all that lie between them.
_BETWEEN: Final = """
    WITH found AS MATERIALIZED (
        SELECT query_id, as_of FROM balances
        WHERE shortcode = %(shortcode)s AND as_of >= %(since)s AND as_of < %(until)s
    ), parted AS (
        SELECT query_id, as_of, CASE WHEN (SELECT count(*) FROM found) <= %(most)s
            THEN row_number() OVER (ORDER BY as_of, query_id)
            ELSE width_bucket(extract(epoch FROM as_of), extract(epoch FROM %(since)s::timestamptz),
                              extract(epoch FROM %(until)s::timestamptz), %(most)s) END AS part
        FROM found
    ), chosen AS (
        SELECT DISTINCT ON (part) query_id FROM parted ORDER BY part, as_of DESC, query_id DESC
    )
    SELECT b.shortcode, b.query_id, b.as_of, b.document FROM chosen JOIN balances b USING (query_id)
    ORDER BY b.as_of, b.query_id
"""
