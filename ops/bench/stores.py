"""The servers of a round: an embedded Postgres and Valkey as the stack runs them, empty."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from ops.stack import servers
from ops.stack.ports import free_port
from ops.stack.state import REDIS_FOLDER


@dataclass(frozen=True, slots=True)
class Stores:
    """Where both servers are. Everybody is the user `house` of Redis, except our webhook tier."""

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    webhooks_broker_url: str = field(repr=False)
    redis: redis.Redis
    postgres_pid: int
    redis_pid: int

    def pids(self) -> dict[str, list[int]]:
        """The process of each server; those of Postgres's sessions descend from it."""
        return {"Postgres": [self.postgres_pid], "Redis": [self.redis_pid]}

    #: A connection of whoever looks how far a system is: opening one costs Postgres a process.
    watching: "psycopg.Connection[tuple[Any, ...]]"

    def connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """A connection to Postgres that commits each statement."""
        return psycopg.connect(self.database_url, autocommit=True)

    def one(self, query: str) -> Any:
        """The only value that a query gives."""
        row = self.watching.execute(query.encode()).fetchone()
        return row[0] if row else None


@contextmanager
def stores(folder: Path, *, commit_times: bool = False) -> Iterator[Stores]:
    """Both servers, with their data below this folder; see `new_round` for commit_times."""
    if commit_times:
        # It takes effect with the next start.
        with (
            servers.postgres(folder / "postgres") as database_url,
            psycopg.connect(database_url, autocommit=True) as connection,
        ):
            connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    passwords = {user: secrets.token_urlsafe(18) for user in ("house", "webhooks", "caller")}
    with (
        servers.postgres(folder / "postgres") as database_url,
        servers.redis(folder / REDIS_FOLDER, free_port(), passwords) as urls,
        psycopg.connect(database_url, autocommit=True) as watching,
    ):
        client = redis.Redis.from_url(urls["house"])
        yield Stores(
            database_url=database_url,
            broker_url=urls["house"],
            webhooks_broker_url=urls["webhooks"],
            redis=client,
            postgres_pid=_postmaster(watching),
            redis_pid=int(client.info("server")["process_id"]),
            watching=watching,
        )
        client.close()


def _postmaster(connection: "psycopg.Connection[Any]") -> int:
    parent = psutil.Process(connection.info.backend_pid).parent()
    if parent is None:
        raise RuntimeError("the session of Postgres has no parent process")
    return parent.pid


def hold(store: redis.Redis, queue: str) -> int:
    """Take a filled queue out of its workers' sight; gives its length."""
    store.rename(queue, _held(queue))
    return int(store.llen(_held(queue)))


def release(store: redis.Redis, queue: str) -> None:
    """Put a held queue back, all of it at once."""
    store.rename(_held(queue), queue)


def _held(queue: str) -> str:
    # A name that the user `house` may use.
    return f"mpesa-held:{queue}"


def is_drained(store: redis.Redis, queue: str) -> bool:
    """Whether nothing is in a queue any more, nor out with a worker that has not confirmed it."""
    return not store.llen(queue) and not store.hlen("unacked")
