"""The two balances of a period that are set against a book, and what is said where there are none."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from mpesa_balance.database import Connection
from mpesa_balance.errors import RequestRefused
from mpesa_balance.moments import told
from mpesa_balance.reconciliation import Figure
from mpesa_balance.sealing import Sealer
from mpesa_balance.shortcodes import unregistered
from mpesa_balance.stored_balances import open_balance


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be set against the book: a shortcode, from an aware instant up to another.

    tolerance: what each account may differ by.
    """

    shortcode: str
    begins: datetime
    ends: datetime
    tolerance: Decimal = field(repr=False)


def figures(connection: Connection, sealer: Sealer, wanted: Wanted) -> tuple[Figure, Figure]:
    """The last balances up to its beginning and to its end. Raises RequestRefused where there are none."""
    first, last = (_figure(connection, sealer, wanted.shortcode, at) for at in (wanted.begins, wanted.ends))
    if first is None or last is None or first.as_of >= last.as_of:
        raise RequestRefused([_missing(connection, wanted, first)])
    return first, last


def _figure(connection: Connection, sealer: Sealer, shortcode: str, at: datetime) -> Figure | None:
    """The last balance up to an instant of which M-PESA said when it stood so."""
    row = connection.execute(_FIGURE, {"shortcode": shortcode, "at": at}).fetchone()
    if row is None:
        return None
    accounts = tuple(open_balance(sealer, row["query_id"], row.pop("document")))
    return Figure(accounts=accounts, **(row | {"warnings": tuple(row["warnings"])}))


def _missing(connection: Connection, wanted: Wanted, opening: Figure | None) -> str:
    """What is said where there are no two figures."""
    row = connection.execute(_FIRST, {"shortcode": wanted.shortcode}).fetchone()
    named = f"shortcode {wanted.shortcode}"
    if row is None:
        return unregistered(wanted.shortcode)
    if row["as_of"] is None:
        return f"{named} has no balance yet: ask with `mpesa-balance query {wanted.shortcode}`"
    if opening is None:
        first = f"its first is of {told(row['as_of'])}; begin there, or later"
        return f"{named} has no balance at or before {told(wanted.begins)}: {first}"
    schedule = f"`mpesa-balance shortcodes schedule add {wanted.shortcode} --crontab ...`"
    period = f"after {told(opening.as_of)} up to {told(wanted.ends)}"
    return f"{named} has no balance {period}; {schedule} has it asked for by itself"


#: A balance without a time of M-PESA's is as old as its question, and so belongs to no moment.
_FIGURE: Final = """
    SELECT b.query_id, b.as_of, b.document, b.warnings
    FROM balances b JOIN balance_queries q ON q.id = b.query_id
    WHERE b.shortcode = %(shortcode)s AND b.as_of <= %(at)s AND q.completed_at IS NOT NULL
    ORDER BY b.as_of DESC, b.recorded_at DESC, b.query_id LIMIT 1
"""

_FIRST: Final = """
    SELECT (SELECT b.as_of FROM balances b JOIN balance_queries q ON q.id = b.query_id
            WHERE b.shortcode = s.shortcode AND q.completed_at IS NOT NULL
            ORDER BY b.as_of LIMIT 1) AS as_of
    FROM shortcodes s WHERE s.shortcode = %(shortcode)s
"""
