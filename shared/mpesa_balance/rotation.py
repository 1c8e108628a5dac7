"""Sealing everything in Postgres anew with the first key, while workers run.

It keeps no state of its own: what is to be done is whatever names another key, so it may be killed
at any point and begun again, and two of them may run at once.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from mpesa_balance.database import Database
from mpesa_balance.errors import SealBroken
from mpesa_balance.sealed_columns import SealedColumn, composed
from mpesa_balance.sealing import Sealer

#: So many rows are looked at in one statement, and at most as many written in one transaction.
BATCH: Final = 200

#: What others hold is tried again until so many rounds in a row have written nothing.
TRIES: Final = 50

#: How long after each such round, in seconds.
_PAUSE: Final = 0.1

#: So many of what does not open are told of, by column.
_MOST_PROBLEMS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """What was done with a column: rows sealed anew, rows that do not open with the first few reasons,
    and rows that others held all the time."""

    column: SealedColumn
    rows: int
    broken: int
    problems: tuple[str, ...]
    busy: int


@dataclass(frozen=True, slots=True)
class _Row:
    key: tuple[Any, ...]
    #: None where it is sealed with the first key.
    sealed: bytes | None


def reseal(
    database: Database,
    column: SealedColumn,
    show: Callable[[int], None] = lambda done: None,
    *,
    batch: int = BATCH,
    tries: int = TRIES,
) -> Resealed:
    """Seal a column anew, batch by batch; `show` is told how many rows were done or do not open.

    Rows that others hold are passed over and tried again; none is waited for. What others seal with
    an older key meanwhile may stay so: see `census`.
    """
    rows, in_vain = 0, 0
    while True:
        busy, broken, problems, before = 0, 0, list[str](), rows
        for read in _batches(database, column, batch):
            sealed_anew, unopened = _sealed_anew(database.sealer, column, read)
            written = _write(database, column, sealed_anew)
            rows += written
            busy += len(sealed_anew) - written
            broken += len(unopened)
            problems += unopened[: _MOST_PROBLEMS - len(problems)]
            show(rows + broken)
        in_vain = 0 if rows > before else in_vain + 1
        if not busy or in_vain == tries:
            return Resealed(column=column, rows=rows, broken=broken, problems=tuple(problems), busy=busy)
        time.sleep(_PAUSE)


def _batches(database: Database, column: SealedColumn, size: int) -> Iterator[list[_Row]]:
    """Every row, in the order of its key, in transactions of one short statement each."""
    after: dict[str, Any] = {}
    while True:
        given = {"head": database.sealer.head, "length": len(database.sealer.head), "limit": size}
        given |= {"every": column.renewed is not None}
        statement = composed(_NEXT if after else _FIRST, column)
        with database.transaction() as connection:
            found = connection.execute(statement, given | after).fetchall()
        if not found:
            return
        after = {name: found[-1][name] for name in column.keys}
        yield [_Row(tuple(row[name] for name in column.keys), row["sealed"]) for row in found]


def _sealed_anew(
    sealer: Sealer, column: SealedColumn, read: list[_Row]
) -> tuple[list[dict[str, Any]], list[str]]:
    """What is to be written, and why the others do not open."""
    anew, unopened = [], []
    for row in read:
        if row.sealed is None:
            continue
        place = column.place(*row.key)
        try:
            plain = sealer.open(row.sealed, place)
            renewed = column.renewed(sealer, plain) if column.renewed else plain
        except SealBroken as broken:
            unopened.append(str(broken))
            continue
        if renewed != plain or not row.sealed.startswith(sealer.head):
            key = dict(zip(column.keys, row.key, strict=True))
            anew.append(key | {"read": row.sealed, "anew": sealer.seal(renewed, place)})
    return anew, unopened


def _write(database: Database, column: SealedColumn, anew: list[dict[str, Any]]) -> int:
    """Write what nobody holds and nobody has changed since it was read; how many those were."""
    if not anew:
        return 0
    with database.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(composed(_WRITE, column), anew)
        return cursor.rowcount


#: All rows are gone through by their key, so that each statement is short however few are to be done.
_SELECT: Final = """
    SELECT {keys}, CASE WHEN %(every)s OR substring({column} FROM 1 FOR %(length)s) <> %(head)s
                        THEN {column} END AS sealed
    FROM {table}
"""
_FIRST: Final = _SELECT + " ORDER BY {keys} LIMIT %(limit)s"
_NEXT: Final = _SELECT + " WHERE ({keys}) > ({values}) ORDER BY {keys} LIMIT %(limit)s"

#: Guard, lock and write in one statement. It takes no lock that an insertion of what refers to the
#: row would wait for, and waits for none itself.
_WRITE: Final = """
    UPDATE {table} SET {column} = %(anew)s WHERE ({keys}) = (
        SELECT {keys} FROM {table} WHERE ({keys}) = ({values}) AND {column} = %(read)s
        FOR NO KEY UPDATE SKIP LOCKED)
"""
