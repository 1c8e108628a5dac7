"""What is exported: balances and queries of a period, read from Postgres as they are written down."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from mpesa_balance.database import Connection
from mpesa_balance.sealing import Sealer
from mpesa_balance.stored_balances import open_balance
from mpesa_balance.tabular import Column, Kind, Row

#: So many rows are fetched at a time.
_FETCHED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows: of these shortcodes, from an instant on, and up to another; None for all of them."""

    shortcodes: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


class Export(NamedTuple):
    """A table that can be exported."""

    columns: tuple[Column, ...]
    rows: Callable[[Connection, Sealer, Selection], Iterator[Row]]


def _balances(connection: Connection, sealer: Sealer, selection: Selection) -> Iterator[Row]:
    """A row for each account of each balance, by shortcode and by when it stood so."""
    for row in _streamed(connection, _BALANCES, selection):
        for account in open_balance(sealer, row["query_id"], row["document"]):
            amounts = (account.current, account.available, account.reserved, account.uncleared)
            yield (
                *(row["shortcode"], row["as_of"], account.name, account.currency, *amounts),
                *(row["late"], row["recorded_at"], str(row["query_id"]), ", ".join(row["warnings"])),
            )


def _queries(connection: Connection, _: Sealer, selection: Selection) -> Iterator[Row]:
    """A row for each query, by shortcode and by when it was opened."""
    for row in _streamed(connection, _QUERIES, selection):
        yield (str(row["id"]), *(row[column.name] for column in _OF_QUERIES[1:]))


def _streamed(connection: Connection, statement: str, selection: Selection) -> Iterator[Mapping[str, Any]]:
    # Whoever writes rows down may take his time over them.
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = '10min'")
    shortcodes = None if selection.shortcodes is None else list(selection.shortcodes)
    row = {"shortcodes": shortcodes, "since": selection.since, "until": selection.until}
    with connection.cursor(name="export") as cursor:
        cursor.itersize = _FETCHED
        yield from cursor.execute(statement, row)


_OF_BALANCES: Final = (
    *(Column("shortcode"), Column("as_of", Kind.INSTANT), Column("account"), Column("currency")),
    *(Column(name, Kind.AMOUNT) for name in ("current", "available", "reserved", "uncleared")),
    *(Column("late", Kind.FLAG), Column("recorded_at", Kind.INSTANT), Column("query_id")),
    Column("warnings"),
)

_OF_QUERIES: Final = (
    *(Column("query_id"), Column("shortcode"), Column("state"), Column("created_at", Kind.INSTANT)),
    *(Column("ended_at", Kind.INSTANT), Column("completed_at", Kind.INSTANT), Column("late", Kind.FLAG)),
    *(Column("attempts", Kind.WHOLE), Column("result_code"), Column("result_description")),
    *(Column("transaction_id"), Column("remarks")),
)

# In the order of an index, so that the first rows come at once and nothing is sorted.

_BALANCES: Final = """
    SELECT b.query_id, b.shortcode, b.as_of, b.recorded_at, b.document, b.warnings, q.late
    FROM balances b JOIN balance_queries q ON q.id = b.query_id
    WHERE (%(shortcodes)s::text[] IS NULL OR b.shortcode = ANY(%(shortcodes)s::text[]))
      AND (%(since)s::timestamptz IS NULL OR b.as_of >= %(since)s::timestamptz)
      AND (%(until)s::timestamptz IS NULL OR b.as_of < %(until)s::timestamptz)
    ORDER BY b.shortcode, b.as_of DESC
"""

_QUERIES: Final = """
    SELECT id, shortcode, state, created_at, ended_at, completed_at, late, attempts, result_code,
           result_description, transaction_id, remarks
    FROM balance_queries
    WHERE (%(shortcodes)s::text[] IS NULL OR shortcode = ANY(%(shortcodes)s::text[]))
      AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s::timestamptz)
      AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s::timestamptz)
    ORDER BY shortcode, created_at DESC
"""

#: What can be exported, by its name.
EXPORTS: Final[Mapping[str, Export]] = {
    "balances": Export(_OF_BALANCES, _balances),
    "queries": Export(_OF_QUERIES, _queries),
}
