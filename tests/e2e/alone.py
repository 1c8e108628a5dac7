"""One real worker, as a test starts it and talks to it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis
from celery import Celery

from mpesa_balance import contract
from ops.stack.programs import CHECKOUT
from tests.waiting import eventually

QUEUES = f"{contract.MAINTENANCE_QUEUE},{contract.REQUESTS_QUEUE}"

#: Where Redis counts how often the long task of tests/e2e/deadly.py has come to its end.
DONE = "tests:done"


@dataclass
class Worker:
    process: "subprocess.Popen[bytes]"
    log: Path
    app: Celery

    def is_there(self) -> bool:
        try:
            return bool(self.app.control.ping(timeout=0.3))
        except redis.ConnectionError:
            # Redis ends connections when a test gives its users other rules.
            return False

    def said(self, text: str, times: int = 1) -> bool:
        return self.log.read_text().count(text) >= times

    def has_run(self, task: str, times: int) -> bool:
        """Whether it says so of itself: since it began, it has taken so many of these."""
        answers = self.app.control.inspect(timeout=0.5).stats() or {}
        return any(stats["total"].get(task, 0) >= times for stats in answers.values())


@contextmanager
def working(environment: dict[str, str], folder: Path, **settings: str) -> Iterator[Worker]:
    command = (sys.executable, "-m", "celery", "-A", "tests.e2e.deadly", "worker", "-Q", QUEUES)
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            (*command, "--concurrency=2", "--without-gossip", "--without-mingle"),
            env={**os.environ, **environment, **settings},
            cwd=CHECKOUT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with Celery(broker=environment["BROKER_URL"], set_as_current=False) as app:
        worker = Worker(process, folder / "worker.log", app)
        try:
            eventually(worker.is_there, seconds=60)
            yield worker
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            # pytest shows it where a test has failed.
            print(worker.log.read_text()[-10_000:])
