"""Retention in Postgres: what ended long ago is archived and then removed, a batch a transaction.

Nothing that is open or waits is removed, nor the newest balance of a shortcode, nor the audit. A batch is
on disk before it is removed, so that whoever kills the program loses nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mpesa_balance import audit
from mpesa_balance.archives import Archive
from mpesa_balance.audit import Action
from mpesa_balance.database import Connection, Database
from mpesa_balance.errors import SealBroken
from mpesa_balance.retained import ROOTS, Root, count_due
from mpesa_balance.sealed_columns import SEALED, SealedColumn
from mpesa_balance.sealing import Sealer

#: So many queries are looked at in one transaction, and what hangs on them goes with them.
BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What one transaction removed: rows by their table, and the bytes that they take in the archive."""

    rows: Mapping[str, int]
    size: int


@dataclass(frozen=True, slots=True)
class Part:
    """A table of which rows go. hangs_on: its columns that name rows which go with it, by their table."""

    table: str
    hangs_on: Mapping[str, str] = field(default_factory=dict)
    key: str = "id"
    only: str = "true"

    @property
    def sealed(self) -> tuple[SealedColumn, ...]:
        """Its columns of envelopes."""
        return tuple(column for column in SEALED if column.table == self.table)

    @property
    def columns(self) -> str:
        """What is read of a row: its key, all of it as JSON, and its envelopes with what names them."""
        opening = [f"t.{name}" for column in self.sealed for name in (*column.keys, column.column)]
        return ", ".join([f"t.{self.key} AS key", "to_jsonb(t) AS whole", *opening])


#: Every table of which rows go, each after those that it hangs on; a test holds this against the database.
PARTS: Final = (
    Part("balance_queries"),
    Part("balance_requests", {"balance_queries": "query_id"}),
    Part("submission_attempts", {"balance_queries": "query_id"}),
    # One that came a moment ago stays: it will find no attempt, and be kept as unmatched.
    Part("callbacks", {"submission_attempts": "attempt_id"}, only="t.disposition IS NOT NULL"),
    Part("balances", {"balance_queries": "query_id"}, key="query_id"),
    Part("query_events", {"balance_queries": "query_id"}),
    Part("callback_replays", {"callbacks": "callback_id"}),
    Part("replies", {"balance_requests": "request_id"}),
    Part("outbox", {"balance_queries": "query_id", "callbacks": "callback_id"}),
    Part("alerts", {"balance_queries": "query_id"}),
    Part("alert_messages", {"alerts": "alert_id"}),
)

#: The rows that go, by their table.
_Found = dict[str, list[dict[str, Any]]]


def prune(database: Database, archive: Archive, days: int, by: str, batch: int = BATCH) -> Iterator[Pruned]:
    """Archive and remove what ended more than `days` ago by the database clock; each batch once it is gone.

    It may be stopped after any of them. by: who does it, for the audit.
    Raises ArchiveUnavailable and DatabaseUnavailable, and then nothing of the last batch was removed.
    """
    for root in ROOTS:
        is_over = False
        while not is_over:
            # A query goes after the one that took its place, so each round may let others go.
            is_over = True
            for pruned in _round(database, archive, root, days, by, batch):
                is_over = False
                yield pruned


def due(database: Database, days: int) -> dict[str, int]:
    """How many rows `prune` would begin with, by their table; what hangs on them goes too."""
    with database.transaction() as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        # Everything that is old is looked at, which may be years of it.
        connection.execute("SET LOCAL statement_timeout = '10min'")
        return count_due(connection, days)


def _round(
    database: Database, archive: Archive, root: Root, days: int, by: str, batch: int
) -> Iterator[Pruned]:
    place = {"days": days, "limit": batch, "after": "-infinity", "after_id": ""}
    while True:
        with database.transaction() as connection:
            # Who replays a callback has locked it and waits for its query: he goes first.
            connection.execute("SET LOCAL lock_timeout = '500ms'")
            connection.execute("SET LOCAL statement_timeout = '30s'")
            looked_at = connection.execute(root.look, place).fetchall()
            ids = [row["id"] for row in looked_at]
            # Another statement: it sees what was written until the rows were locked.
            going = [row["id"] for row in connection.execute(root.going, {"days": days, "ids": ids})]
            pruned = _remove(connection, database.sealer, archive, root, going, by) if going else None
        if pruned is not None:
            yield pruned
        if len(looked_at) < batch:
            return
        place |= {"after": looked_at[-1]["ended"], "after_id": str(ids[-1])}


def _remove(
    connection: Connection, sealer: Sealer, archive: Archive, root: Root, ids: Sequence[Any], by: str
) -> Pruned:
    found = _gathered(connection, root.table, ids)
    tables = {
        part.table: {str(row["key"]): _opened(sealer, part, row) for row in rows}
        for part in PARTS
        if (rows := found[part.table])
    }
    size = archive.add(tables)
    removed: dict[str, int] = {}
    for part in reversed(PARTS):
        if keys := [row["key"] for row in found[part.table]]:
            statement = f"DELETE FROM {part.table} WHERE {part.key} = ANY(%(keys)s)"  # noqa: S608 - of ours
            removed[part.table] = connection.execute(statement, {"keys": keys}).rowcount
    counted = ", ".join(f"{count} {table}" for table, count in reversed(removed.items()))
    audit.add(connection, by, Action.PRUNED, archive.path.name, f"batch {archive.batches}: {counted}")
    return Pruned(rows=removed, size=size)


def _gathered(connection: Connection, root: str, ids: Sequence[Any]) -> _Found:
    """These rows of one table, and all that hang on them."""
    found: _Found = {}
    for part in PARTS:
        given = {table: [row["key"] for row in found[table]] for table in part.hangs_on}
        named = [
            f"t.{column} = ANY(%({table})s)" for table, column in part.hangs_on.items() if given[table]
        ]
        if part.table == root:
            given, named = {root: list(ids)}, [f"t.{part.key} = ANY(%({root})s)"]
        statement = f"""
            SELECT {part.columns} FROM {part.table} t WHERE ({" OR ".join(named)}) AND {part.only}
        """  # noqa: S608 - of names in PARTS
        found[part.table] = connection.execute(statement, given).fetchall() if named else []
    return found


def _opened(sealer: Sealer, part: Part, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON, its envelopes opened: an archive must not need the keys of their time.

    What does not open is kept sealed, and what is no text is in hexadecimal, both as Postgres writes bytes.
    """
    document: dict[str, Any] = row["whole"]
    for column in part.sealed:
        try:
            plain = sealer.open(row[column.column], column.place(*(row[name] for name in column.keys)))
        except SealBroken:
            continue
        try:
            document[column.column] = plain.decode()
        except UnicodeDecodeError:
            document[column.column] = f"\\x{plain.hex()}"
    return document
