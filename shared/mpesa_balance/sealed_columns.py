"""Every column that holds envelopes: which it is, what its envelopes are sealed for and with which keys."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from psycopg import sql

from mpesa_balance import (
    alert_channels,
    alerts,
    apps,
    quarantine,
    reconciliations,
    sealed_messages,
    shortcodes,
    stored_balances,
)
from mpesa_balance.database import Connection, Database
from mpesa_balance.deliveries import delivery_place
from mpesa_balance.errors import SealBroken
from mpesa_balance.sealing import Sealer, key_id


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedColumn:
    """A column of envelopes.

    keys: the columns that name a row, with a unique index in this order; `place` takes their values.
    renewed: makes the plain text anew where it holds envelopes itself.
    """

    table: str
    column: str
    keys: tuple[str, ...]
    place: Callable[..., str]
    renewed: Callable[[Sealer, bytes], bytes] | None = None

    @property
    def name(self) -> str:
        """As people write it: table.column."""
        return f"{self.table}.{self.column}"


def _credential(column: str) -> SealedColumn:
    place = partial(apps.credential_place, column=column)
    return SealedColumn(table="daraja_apps", column=column, keys=("name",), place=place)


#: Every column that holds envelopes; a test holds this against the comments in the database.
SEALED: Final = (
    _credential("consumer_key"),
    _credential("consumer_secret"),
    SealedColumn(
        table="shortcodes", column="credential", keys=("shortcode",), place=shortcodes.credential_place
    ),
    SealedColumn(
        table="callbacks", column="payload", keys=("attempt_id", "kind", "digest"), place=delivery_place
    ),
    SealedColumn(
        table="balances", column="document", keys=("query_id",), place=stored_balances.balance_place
    ),
    SealedColumn(
        table="quarantined_tasks",
        column="message",
        keys=("id",),
        place=quarantine.message_place,
        # A task that could not record callbacks has them in its message.
        renewed=sealed_messages.renewed,
    ),
    SealedColumn(table="alert_channels", column="url", keys=("name",), place=alert_channels.url_place),
    SealedColumn(table="alert_rules", column="limits", keys=("id",), place=alerts.limits_place),
    SealedColumn(table="alerts", column="detail", keys=("id",), place=alerts.detail_place),
    SealedColumn(
        table="reconciliations",
        column="document",
        keys=("id",),
        place=reconciliations.reconciliation_place,
    ),
)

#: How many envelopes each key id has sealed; None stands for what is no envelope.
Census = Counter[str | None]


def census(database: Database) -> dict[str, Census]:
    """What every column's envelopes are sealed with, by its name."""
    with database.transaction() as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        # Whole tables are looked through, which may be years of callbacks.
        connection.execute("SET LOCAL statement_timeout = '10min'")
        return {column.name: count(connection, database.sealer, column) for column in SEALED}


def count(connection: Connection, sealer: Sealer, column: SealedColumn) -> Census:
    """What a column's envelopes are sealed with, and those inside of what opens."""
    found: Census = Counter()
    for row in connection.execute(composed(_HEADS, column)):
        found[_named(row["head"])] += row["envelopes"]
    if column.renewed is not None:
        for row in connection.execute(composed(_EVERY, column)):
            found.update(_inside(sealer, column, row))
    return found


def others(found: Census, sealer: Sealer) -> Census:
    """What is sealed with another than the first key."""
    return Counter({named: envelopes for named, envelopes in found.items() if named != sealer.first})


def composed(statement: str, column: SealedColumn) -> sql.Composed:
    """A statement with {table}, {column}, {keys} and, as placeholders, the {values} of the keys."""
    return sql.SQL(statement).format(
        table=sql.Identifier(column.table),
        column=sql.Identifier(column.column),
        keys=sql.SQL(", ").join(map(sql.Identifier, column.keys)),
        values=sql.SQL(", ").join(map(sql.Placeholder, column.keys)),
    )


def _inside(sealer: Sealer, column: SealedColumn, row: Mapping[str, Any]) -> list[str]:
    """The keys of the envelopes in a row's plain text; none where it does not open."""
    try:
        plain = sealer.open_text(row["sealed"], column.place(*(row[name] for name in column.keys)))
    except SealBroken:
        return []
    return list(sealed_messages.key_ids(plain))


def _named(head: bytes) -> str | None:
    try:
        return key_id(head, "a row")
    except SealBroken:
        return None


#: The beginning of each envelope, which names its key; what is shorter than that is given whole.
_HEADS: Final = """
    SELECT substring({column} FROM 1 FOR CASE WHEN length({column}) > 1
                                              THEN 2 + get_byte(substring({column} FROM 2 FOR 1), 0)
                                              ELSE 1 END) AS head,
           count(*) AS envelopes
    FROM {table} WHERE {column} IS NOT NULL GROUP BY head
"""

_EVERY: Final = "SELECT {keys}, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL"
