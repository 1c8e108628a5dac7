"""Postgres: one pool a process, opened after the fork, and one way to run a transaction."""

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from mpesa_balance.errors import DatabaseUnavailable, SchemaOutdated, SettingsInvalid
from mpesa_balance.happenings import Happening
from mpesa_balance.sealing import Sealer
from mpesa_balance.settings import DatabaseSettings


class Connection(psycopg.Connection[DictRow]):
    """A connection to Postgres, with what has happened in the transaction that is open on it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.happened: list[Happening] = []
        #: When it was given back, by the monotonic clock.
        self.rested_at = float("-inf")


_SESSION: Final = " ".join(
    (
        # No statement of ours takes seconds; one that does is stuck, and holds a worker.
        "-c statement_timeout=5000",
        # A row lock is held for milliseconds; waiting longer means that its holder is stuck.
        "-c lock_timeout=2000",
        # A process that hangs inside a transaction must not keep its locks for ever.
        "-c idle_in_transaction_session_timeout=10000",
        # Instants are read and shown in UTC wherever the server stands.
        "-c timezone=UTC",
    )
)

_CONNECT: Final[dict[str, Any]] = {
    # A host that does not answer is noticed before a caller gives up on us.
    "connect_timeout": 3,
    # Half-open connections: the kernel gives up on unanswered bytes after five seconds.
    "tcp_user_timeout": 5000,
    "keepalives_idle": 10,
    "options": _SESSION,
    "row_factory": dict_row,
}


#: For so long after its last use a connection that says nothing is taken to be there, in seconds: asking
#: costs as much as a statement.
_TRUSTED_FOR: Final = 1.0

#: How long a task waits for a connection of the pool before it is retried later, in seconds.
_WAITS_FOR_CONNECTION: Final = 3.0

#: Whatever Postgres may say of a statement.
DATABASE_FAULTS: Final = psycopg.Error

#: What passes by itself: Postgres is away, restarting, or still the standby of a failover.
_PASSING: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    PoolTimeout,
)


class Database:
    """The house's Postgres. Cheap to make; connects at the first transaction.

    when_committed: told what has happened in a transaction, once that has committed.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        application: str = "mpesa-balance",
        when_committed: Callable[[Happening], None] = lambda _: None,
    ) -> None:
        self.sealer: Sealer = settings.sealer
        self._when_committed = when_committed
        self._settings = settings
        self._application = application
        self._pool: ConnectionPool[Connection] | None = None
        self._owner: int | None = None
        self._inherited: ConnectionPool[Connection] | None = None
        self._opening = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction. Raises DatabaseUnavailable where Postgres is away or hangs up."""
        happened: list[Happening] = []
        try:
            with self._opened().connection() as connection:
                connection.happened = happened
                yield connection
                connection.rested_at = time.monotonic()
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise SchemaOutdated("The database is not migrated: run `mpesa-balance migrate`") from error
        except _PASSING as error:
            raise DatabaseUnavailable(describe(error)) from error
        for one in happened:
            self._when_committed(one)

    def close(self) -> None:
        """Give the connections back. The next transaction opens new ones."""
        if self._pool is not None and self._owner == os.getpid():
            self._pool.close()
        self._pool = None

    def _opened(self) -> ConnectionPool[Connection]:
        # Threads that come first together must not open a pool each: nobody would ever close the other.
        with self._opening:
            # A pool that crosses a fork hands one connection to two processes and returns wrong rows.
            if self._pool is not None and self._owner != os.getpid():
                # Left alone for ever: its threads did not come along, and waiting for them takes seconds.
                self._inherited, self._pool = self._pool, None
            if self._pool is None:
                self._pool, self._owner = self._new_pool(), os.getpid()
            return self._pool

    def _new_pool(self) -> ConnectionPool[Connection]:
        connect(self._settings.database_url, self._application).close()
        return ConnectionPool(
            self._settings.database_url,
            connection_class=Connection,
            kwargs=_CONNECT | {"application_name": self._application},
            min_size=1,
            max_size=self._settings.pool_size,
            # A connection that the server dropped meanwhile is replaced before it is handed out.
            check=_check,
            # Rebalances after a failover, and bounds what a session can accumulate.
            max_lifetime=1800,
            max_idle=300,
            timeout=_WAITS_FOR_CONNECTION,
            reconnect_timeout=30,
            open=True,
        )


def _check(connection: Connection) -> None:
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    # A server says nothing unasked, save that it hangs up.
    if waiting.poll(0) or time.monotonic() - connection.rested_at > _TRUSTED_FOR:
        ConnectionPool.check_connection(connection)


def connect(database_url: str, application: str) -> Connection:
    """One connection outside the pool. Raises DatabaseUnavailable, in one line that says why."""
    try:
        return Connection.connect(database_url, **_CONNECT, application_name=application)
    except psycopg.ProgrammingError:
        # The parser's own text quotes the part that it stumbled over, which may be the password.
        raise SettingsInvalid(
            "DATABASE_URL cannot be read: write it as postgresql://name:password@host:5432/database, "
            "with %-escapes for special characters in the password"
        ) from None
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(describe(error)) from error


def describe(error: Exception) -> str:
    """What went wrong with Postgres in one line, without the address's password."""
    return f"Postgres cannot be used now: {_line(error)}. Check that it runs and DATABASE_URL is right."


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
