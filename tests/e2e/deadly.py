"""The worker's own application, and tasks that end the process that runs them."""

import os
import signal

from worker import tasks  # noqa: F401 - the house's own tasks come with it.
from worker.app import app


@app.task(name="tests.deadly")
def deadly(*, how: str) -> None:
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)
