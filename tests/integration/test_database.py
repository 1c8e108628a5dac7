"""Postgres as each process uses it: its own connections, bounded waits, and faults that pass."""

import os
import time
from collections.abc import Iterator

import psycopg
import pytest

from mpesa_balance.database import Database
from mpesa_balance.errors import DatabaseUnavailable
from mpesa_balance.sealing import Sealer
from mpesa_balance.settings import DatabaseSettings
from tests.integration.at_once import at_once

pytestmark = pytest.mark.limits


@pytest.fixture
def busy(database: Database, database_url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Another session with the database, which may hold locks."""
    with database.transaction() as connection:
        connection.execute("CREATE TABLE counters (id int PRIMARY KEY, value int)")
        connection.execute("INSERT INTO counters VALUES (1, 0)")
    with psycopg.connect(database_url) as connection:
        yield connection


def backend(database: Database) -> int:
    with database.transaction() as connection:
        row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
    assert row is not None
    return int(row["pid"])


def test_threads_that_come_first_together_share_one_pool(database: Database) -> None:
    """Nobody would ever close the other ones."""

    def pool(_: int) -> object:
        with database.transaction():
            return database._pool

    assert len(set(at_once(pool, range(8)))) == 1


def test_a_forked_child_does_not_use_its_parents_connection(database_url: str, sealer: Sealer) -> None:
    """A pool that crosses a fork gives one connection to two processes, and wrong rows to both."""
    settings = DatabaseSettings(database_url=database_url, sealer=sealer, pool_size=1)
    database = Database(settings)
    parents = backend(database)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(backend(database)).encode())
        finally:
            # Whatever happens, there must not be two that go on with the tests.
            os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reading, 20)) != parents
    assert backend(database) == parents
    database.close()


def test_a_connection_that_the_server_dropped_is_replaced_before_it_is_used(
    database_url: str, sealer: Sealer, busy: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    settings = DatabaseSettings(database_url=database_url, sealer=sealer, pool_size=1)
    database = Database(settings)
    dropped = backend(database)
    busy.execute("SELECT pg_terminate_backend(%s, 1000)", (dropped,))
    assert backend(database) != dropped
    database.close()


def test_a_connection_that_is_dropped_in_the_middle_is_a_fault_that_passes(
    database: Database, busy: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    with pytest.raises(DatabaseUnavailable), database.transaction() as connection:
        busy.execute("SELECT pg_terminate_backend(%s, 1000)", (connection.info.backend_pid,))
        connection.execute("SELECT 1")
    assert backend(database)


def test_a_lock_that_is_never_released_does_not_hold_a_task(
    database: Database, busy: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    busy.execute("UPDATE counters SET value = 1")
    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="lock timeout"), database.transaction() as connection:
        connection.execute("UPDATE counters SET value = 2")
    assert time.monotonic() - begun > 1.5


def test_a_pool_whose_connections_are_all_out_is_a_fault_that_passes(
    database_url: str, sealer: Sealer
) -> None:
    settings = DatabaseSettings(database_url=database_url, sealer=sealer, pool_size=1)
    database = Database(settings)
    with database.transaction(), pytest.raises(DatabaseUnavailable), database.transaction():
        pass
    database.close()


def test_a_standby_that_is_not_promoted_yet_is_a_fault_that_passes(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="read-only"), database.transaction() as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute("DELETE FROM outbox")


def test_what_fails_in_a_transaction_is_written_not_at_all(
    database: Database, busy: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute("UPDATE counters SET value = 2")
        _ = 1 / 0
    assert busy.execute("SELECT value FROM counters").fetchone() == (0,)


def test_instants_are_aware_utc(database: Database) -> None:
    with database.transaction() as connection:
        row = connection.execute("SELECT now() AS at").fetchone()
    assert row is not None
    assert row["at"].utcoffset().total_seconds() == 0


def test_sessions_are_bounded_and_named(database: Database) -> None:
    with database.transaction() as connection:
        settings = {
            name: connection.execute(f"SHOW {name}").fetchone()[name]  # type: ignore[index, arg-type]
            for name in ("statement_timeout", "lock_timeout", "application_name")
        }
    assert settings == {
        "statement_timeout": "5s",
        "lock_timeout": "2s",
        "application_name": "mpesa-balance",
    }


def test_a_postgres_that_is_away_is_said_at_once(sealer: Sealer) -> None:
    database = Database(DatabaseSettings(database_url="postgresql://x@127.0.0.1:1/x", sealer=sealer))
    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="DATABASE_URL"), database.transaction():
        pass
    assert time.monotonic() - begun < 5
