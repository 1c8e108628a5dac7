"""The spool: callbacks on this host's disk, sealed, until a receipt says that Postgres has them.

One SQLite file, which one process at a time holds. Its order is the order of arrival.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

from mpesa_balance import logs
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import SpoolUnavailable

logger = logs.get_logger(__name__)

_LAYOUT: Final = """
    CREATE TABLE IF NOT EXISTS deliveries (number INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT NOT NULL);
    PRAGMA user_version = 1;
"""

_AFTER: Final = """
    SELECT number, message FROM deliveries WHERE number > ? AND number <= ? ORDER BY number LIMIT ?
"""

_ONE: Final = "SELECT number, message FROM deliveries WHERE number = ?"


class Spooled(NamedTuple):
    """A delivery in the spool, under the number that its receipt will name."""

    number: int
    message: Mapping[str, Any]

    @property
    def delivery(self) -> Delivery:
        """The delivery itself."""
        return Delivery.read(self.message)


class Spool:
    """One file of the spool. Raises SpoolUnavailable where the disk does not do what is asked.

    Its writer is one thread, and readers have a connection of their own each.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        #: Names the spool in messages and receipts. Never a name that the file keeps: copies of a host
        #: would take each other's receipts.
        self.id = uuid4().hex
        self._writer = self._opened()
        self._file = _identity(path)
        self.depth = self._count()

    def write(self, new: Sequence[Delivery], recorded: Iterable[int] = ()) -> None:
        """Keep new deliveries and forget those that are recorded: one transaction, one fsync."""
        messages = [(json.dumps(delivery.message()),) for delivery in new]
        numbers = [(number,) for number in recorded]
        try:
            with self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                self._writer.executemany("INSERT INTO deliveries (message) VALUES (?)", messages)
                gone = self._writer.executemany("DELETE FROM deliveries WHERE number = ?", numbers).rowcount
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.rollback()
            raise _unavailable(self.path, error) from error
        self.depth += len(messages) - max(gone, 0)

    @property
    def is_gone(self) -> bool:
        """Whether the file at its place is another one or none: what is written here would end with us."""
        return _identity(self.path) != self._file

    def reader(self) -> "SpoolReader":
        """A connection that reads beside the writer, for the thread that asks for it."""
        return SpoolReader(self.path)

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._writer.close()

    def _opened(self) -> sqlite3.Connection:
        try:
            # Made here, so that it is private before anything is in it.
            self.path.touch(mode=0o600)
            connection = _connect(self.path)
            # Readers do not wait for the writer, and a commit costs one fsync.
            connection.execute("PRAGMA journal_mode = WAL")
            # A commit is on the disk when it returns, also after a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            # What was forgotten is overwritten: it is sealed, and even so need not stay.
            connection.execute("PRAGMA secure_delete = ON")
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                connection.executescript(f"BEGIN; {_LAYOUT} COMMIT;")
        except (OSError, sqlite3.OperationalError) as error:
            raise _unavailable(self.path, error) from error
        return connection

    def _count(self) -> int:
        try:
            (depth,) = self._writer.execute("SELECT count(*) FROM deliveries").fetchone()
        except sqlite3.OperationalError as error:
            # A read that fails for now is no damage: see `SpoolDirectory`.
            raise _unavailable(self.path, error) from error
        return int(depth)


class SpoolReader:
    """Reads the spool in its order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: sqlite3.Connection | None = None

    def after(self, number: int, limit: int, up_to: int | None = None) -> list[Spooled]:
        """The first deliveries behind this number, without those that the disk has damaged."""
        last = up_to if up_to is not None else 2**62
        try:
            rows = self._connection().execute(_AFTER, (number, last, limit)).fetchall()
        except sqlite3.OperationalError as error:
            raise _unavailable(self._path, error) from error
        except sqlite3.DatabaseError:
            rows = self._one_by_one(number, limit, min(last, self.newest()))
        whole = [one for number, message in rows if (one := self._whole(number, message))]
        # The end is where there are no rows, not where none of them is whole.
        return whole or (self.after(rows[-1][0], limit, up_to) if rows else [])

    def newest(self) -> int:
        """The highest number in the spool; 0 for an empty one."""
        try:
            (number,) = self._connection().execute("SELECT max(number) FROM deliveries").fetchone()
        except sqlite3.Error as error:
            raise _unavailable(self._path, error) from error
        return int(number or 0)

    def oldest_received_at(self) -> datetime | None:
        """When the oldest delivery came that waits for its receipt; None for none."""
        waiting = self.after(0, 1)
        return waiting[0].delivery.received_at if waiting else None

    def _one_by_one(self, number: int, limit: int, last: int) -> list[tuple[int, bytes]]:
        """What can be read where a page of the file is damaged: the others are found without it."""
        found: list[tuple[int, bytes]] = []
        for one in range(number + 1, last + 1):
            try:
                found += self._connection().execute(_ONE, (one,)).fetchall()
            except sqlite3.DatabaseError:
                _tell_of_damage(self._path, one)
            if len(found) == limit:
                break
        return found

    def _whole(self, number: int, message: bytes) -> Spooled | None:
        try:
            spooled = Spooled(number, json.loads(message))
            # Whatever the disk has made of it, the worker must be able to read it.
            _ = spooled.delivery
        except (ValueError, KeyError, TypeError):
            _tell_of_damage(self._path, number)
            return None
        return spooled

    def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            self._opened.close()

    def _connection(self) -> sqlite3.Connection:
        # Opened when it is needed: a disk that is away then is asked again, like any other time.
        if self._opened is None:
            self._opened = _connect(self._path)
            # It may have changed any byte: what is no text then must not hold up the others.
            self._opened.text_factory = bytes
        return self._opened


def age_seconds(received_at: datetime | None) -> float:
    """How long ago that was, by this host's clock; 0 for None."""
    return max((datetime.now(UTC) - received_at).total_seconds(), 0) if received_at else 0.0


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@lru_cache(maxsize=1000)
def _tell_of_damage(path: Path, number: int) -> None:
    logger.error("spooled_callback_damaged", number=number, path=path, message="it stays there: look at it")


def _connect(path: Path) -> sqlite3.Connection:
    try:
        # Threads take turns by their own rules here; a lock that another process holds is waited for.
        return sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unavailable(path, error) from error


def _unavailable(path: Path, error: Exception) -> SpoolUnavailable:
    return SpoolUnavailable(
        f"the spool {path} cannot be used: {error}. "
        "Check that its disk is there, has room and can be written"
    )
