"""How a worker ends: what runs may end, what takes longer goes back to the broker, and it ends in time."""

import os
import signal
import threading
import time
from functools import cache
from typing import Final

from celery import signals

from mpesa_balance import logs

logger = logs.get_logger(__name__)

#: Running tasks get this long to end, in seconds.
TASKS_HAVE: Final = 20

#: And the worker this long in all, in seconds: supervisors wait half a minute before they kill.
WORKER_HAS: Final = 28


def install() -> None:
    """Bound every end that begins with a signal: at SIGTERM, Celery waits for its tasks without end."""
    signals.worker_shutting_down.connect(lambda **_: bound(), weak=False)


@cache
def bound() -> None:
    """Let this process end in time, whatever its main thread is doing."""
    threading.Thread(target=_end_in_time, name="stopping", daemon=True).start()


def _end_in_time() -> None:
    time.sleep(TASKS_HAVE)
    logger.warning("tasks_taken_away", message="they go back to the broker", after=TASKS_HAVE)
    os.kill(os.getpid(), signal.SIGQUIT)
    time.sleep(WORKER_HAS - TASKS_HAVE)
    logger.critical("worker_ended_hard", message="it did not end by itself", after=WORKER_HAS)
    os._exit(1)
