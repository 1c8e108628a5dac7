"""The arena of the fault suite: a whole stack on stores that can be broken, with traffic and a ledger."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psutil
import pytest
import requests
from celery import Celery

from mpesa_balance.callback_urls import CallbackSigner
from mpesa_balance.crash_points import CrashPoint
from mpesa_balance.database import Database
from mpesa_balance.errors import DatabaseUnavailable
from mpesa_balance.sealing import parse_key, parse_sealer
from mpesa_balance.settings import DatabaseSettings
from ops.stack.programs import CHECKOUT
from tests.conftest import private_folder
from tests.e2e.running import Stack, is_alive, running
from tests.faults import report
from tests.faults.ledger import Balance, Ledger
from tests.faults.stores import FaultyPostgres, FaultyRedis, faulty_stores
from tests.faults.traffic import Callers, Storm
from tests.faults.unanswered import Unanswered
from tests.waiting import eventually

SETTINGS = {
    "SIMULATOR_CALLBACK_DELAY": "0.3",
    "SIMULATOR_REQUESTS_PER_SECOND": "1000",
    "SUBMISSION_GRACE_SECONDS": "60",
    # What a dead webhook process was sent ends by its deadline, and nobody waits ten minutes for that.
    "QUERY_DEADLINE_SECONDS": "150",
    "DARAJA_TIMEOUT_SECONDS": "2",
    "SWEEP_INTERVAL_SECONDS": "2",
    "RETRY_BACKOFF_SECONDS": "1,2,4,8",
    "LOG_LEVEL": "INFO",
}

_STATE = """
    SELECT state FROM balance_requests r JOIN balance_queries q ON q.id = r.query_id WHERE r.id = %s
"""


@dataclass
class Arena:
    """One stack, what it stands on, who drives it, and who keeps the books."""

    stack: Stack
    postgres: FaultyPostgres
    redis: FaultyRedis
    database: Database
    signer: CallbackSigner
    crash_points: Path
    ledger: Ledger
    callers: Callers

    @property
    def storm(self) -> Storm:
        return Storm(self.database, self.signer, self.stack.env["WEBHOOKS_URL"], self.ledger.books)

    def execute(self, statement: str, *values: object) -> None:
        with self.database.transaction() as connection:
            connection.execute(statement, values)

    def arm(self, point: CrashPoint, times: int = 1) -> None:
        for number in range(times):
            (self.crash_points / f"{point}.{number}").touch()

    def armed(self) -> list[str]:
        return sorted(path.name for path in self.crash_points.iterdir())

    def workers(self) -> list[psutil.Process]:
        """The main process of each worker."""
        found = [one for one in self.stack.processes() if {"celery", "worker"} <= set(one.info["cmdline"])]
        inside = {one.pid for one in found}
        return [one for one in found if one.ppid() not in inside]

    def webhooks(self) -> list[psutil.Process]:
        return [
            one for one in self.stack.processes() if "webhooks.app:create_server" in one.info["cmdline"]
        ]

    def kill(self, processes: list[psutil.Process]) -> None:
        """Kill -9, children first, so that none of them is left to another parent."""
        for process in processes:
            for one in (*process.children(recursive=True), process):
                if is_alive(one):
                    one.kill()

    @contextmanager
    def posting(self, storm: Storm, attempts: list[UUID], rate: float) -> Iterator[list[float]]:
        """A storm of callbacks meanwhile; it gives how long each 200 took, in seconds."""
        latencies: list[float] = []
        thread = threading.Thread(target=lambda: latencies.extend(storm.post(attempts, rate)))
        thread.start()
        try:
            yield latencies
        finally:
            thread.join()

    def is_answering(self, worker: str) -> bool:
        """Whether the worker of this name takes what it is told through the broker."""
        with Celery(broker=f"redis://127.0.0.1:{self.redis.port}/0", set_as_current=False) as app:
            return bool(app.control.ping(destination=[worker], timeout=0.5))

    @contextmanager
    def also_running(self, *arguments: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
        """One more Celery program beside the stack's own, with its environment."""
        process = subprocess.Popen(
            (sys.executable, "-m", "celery", *arguments),
            cwd=CHECKOUT,
            env={**self.workers()[0].environ(), **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def is_live(self) -> bool:
        """Whether the webhook tier answers."""
        try:
            return requests.get(f"{self.stack.env['WEBHOOKS_URL']}/health/live", timeout=2).ok
        except requests.RequestException:
            return False

    def end_unanswered(self) -> None:
        """The deadline of what nobody will answer any more has come: its callback met a dead process."""
        Unanswered(self.database, self.stack.env).end()

    def settle(self, seconds: float = 90) -> tuple[Balance, float]:
        """Everything at rest, and a query that is asked for now completes; how long that took."""
        begun = time.monotonic()
        # After an outage our own pool tries again at its own pace, up to half a minute apart.
        eventually(self._has_postgres, 60)
        self._completes(seconds)
        found, _ = self.ledger.settle(seconds)
        return found, time.monotonic() - begun

    def _has_postgres(self) -> bool:
        try:
            with self.database.transaction():
                return True
        except DatabaseUnavailable:
            return False

    def _completes(self, seconds: float) -> None:
        request_id = eventually(self.callers.ask, seconds)

        def is_completed() -> bool:
            self.callers.ask_again()
            with self.database.transaction() as connection:
                row = connection.execute(_STATE, (request_id,)).fetchone()
            return row is not None and row["state"] == "completed"

        eventually(is_completed, seconds)


@contextmanager
def entered(folder: Path, postgres: FaultyPostgres, redis: FaultyRedis) -> Iterator[Arena]:
    """A stack in this folder, on these stores, from when it is ready until it is stopped."""
    points = folder / "crash-points"
    points.mkdir(exist_ok=True)
    stores = {"DATABASE_URL": postgres.url, "BROKER_URL": redis.url}
    given = {**SETTINGS, **stores, "CRASH_POINTS_DIR": str(points)}
    with running(folder / "state", environment=given) as stack:
        sealer = parse_sealer(stack.env["SEALING_KEYS"])
        settings = DatabaseSettings(database_url=postgres.direct_url, sealer=sealer, pool_size=8)
        database = Database(settings)
        with database.transaction() as connection:
            connection.execute("UPDATE daraja_apps SET requests_per_second = 200")
        ledger = Ledger(database, stack.env["DARAJA_URL"])
        signer = CallbackSigner((parse_key(stack.env["CALLBACK_KEYS"]),))
        callers = Callers(ledger, f"redis://127.0.0.1:{redis.port}/0")
        yield Arena(stack, postgres, redis, database, signer, points, ledger, callers)
        database.close()


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with (
        private_folder() as folder,
        faulty_stores(folder) as (postgres, redis),
        entered(folder, postgres, redis) as arena,
    ):
        yield arena


@pytest.fixture
def told(request: pytest.FixtureRequest, arena: Arena) -> Iterator[report.Teller]:
    """Says what became of a fault, for the report; and what the stack said, where a test fails."""
    before = arena.ledger.balance()
    begun = len(arena.stack.log)
    teller = report.Teller(before)
    yield teller
    if teller.line is not None:
        report.add({"test": request.node.name, **teller.line})
    else:
        print(arena.stack.log[begun:][-20_000:])
