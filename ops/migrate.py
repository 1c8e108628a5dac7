"""Bringing a database to the newest migration: under a lock, safe to run twice and from anywhere."""

from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import psycopg
from psycopg import ConnectionInfo
from psycopg.conninfo import conninfo_to_dict
from yoyo import get_backend, read_migrations

from mpesa_balance.database import connect, describe
from mpesa_balance.errors import DatabaseUnavailable

MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"

#: Any number, as long as nothing else in this database locks it.
_LOCK: Final = 0x6D706573


def migrate(database_url: str) -> list[str]:
    """Apply what is missing and return its names. Raises DatabaseUnavailable.

    The lock is Postgres's own and goes with the connection: a migration that was killed leaves
    none behind, unlike the row that yoyo writes, which is cleared here once the lock is ours.
    """
    with connect(database_url, "mpesa-balance-migrate") as guard:
        # Somebody else's migration may take longer than any statement of ours.
        guard.execute("SET statement_timeout = 0")
        guard.execute("SET lock_timeout = 0")
        guard.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        guard.commit()
        backend = get_backend(_yoyo_url(database_url, guard.info))  # type: ignore[no-untyped-call]
        try:
            backend.break_lock()
            known = read_migrations(str(MIGRATIONS))  # type: ignore[no-untyped-call]
            waiting = backend.to_apply(known)
            with backend.lock():
                backend.apply_migrations(waiting)
            return [migration.id for migration in waiting]
        finally:
            backend.connection.close()


def waiting(database_url: str) -> list[str]:
    """The names of the migrations that `migrate` would apply, in order. Raises DatabaseUnavailable.

    It reads yoyo's ledger itself: asking yoyo would make the ledger where there is none.
    """
    with connect(database_url, "mpesa-balance-migrate") as connection:
        try:
            applied = {row["migration_id"] for row in connection.execute(_APPLIED)}
        except psycopg.errors.UndefinedTable:
            applied = set()
        except psycopg.Error as error:
            raise DatabaseUnavailable(describe(error)) from error
    known = read_migrations(str(MIGRATIONS))  # type: ignore[no-untyped-call]
    return [migration.id for migration in known if migration.id not in applied]


def _yoyo_url(database_url: str, reached: ConnectionInfo) -> str:
    # Word by word: yoyo cannot read all that libpq can, and of several servers it must be the one that
    # is locked.
    given = conninfo_to_dict(database_url) | {"host": reached.host, "port": str(reached.port)}
    named = {name: value for name, value in given.items() if value is not None and name != "dbname"}
    return f"postgresql+psycopg:///{quote(reached.dbname)}?{urlencode(named)}"


_APPLIED: Final = "SELECT migration_id FROM _yoyo_migration"
