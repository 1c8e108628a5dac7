"""The worker's own application, and tasks that end the process that runs them, or take long."""

import os
import signal
import threading

from tests.e2e.alone import DONE
from worker.app import app
from worker.house import house
from worker.tasks import REPEATED


@app.task(name="tests.deadly", soft_time_limit=1, time_limit=2)
def deadly(*, how: str) -> None:
    if how == "hung":
        hang()
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)


@app.task(name="tests.deadly_and_repeated", **REPEATED)
def deadly_and_repeated() -> None:
    os._exit(3)


@app.task(name="tests.long")
def long(*, seconds: float, padding: str = "") -> None:
    threading.Event().wait(seconds)
    house().store.incr(DONE)


@app.task(name="tests.endless")
def endless() -> None:
    hang()


def hang() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    signal.pause()
