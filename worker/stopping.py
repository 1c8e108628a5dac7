"""How a worker ends: what runs may end, what takes longer goes back to the broker, and it ends in time."""

import inspect
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Final

from celery import bootsteps, signals

from mpesa_balance import logs

logger = logs.get_logger(__name__)

#: Running tasks get this long to end, in seconds; then Celery takes them away from their processes.
TASKS_HAVE: Final = 20

#: And those this long: whatever holds the worker up then waits for one of them.
PROCESSES_HAVE: Final = 24

#: And the worker this long in all, in seconds: supervisors wait half a minute before they kill.
WORKER_HAS: Final = 28


class Stopping(bootsteps.StartStopStep):
    """Bounds every end: at SIGTERM, Celery waits for its tasks without end."""

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._worker = worker
        self._begun = threading.Lock()
        worker.stopping = self
        # Told in the handler of the signal, also where the main loop hears nothing any more.
        signals.worker_shutting_down.connect(lambda **_: self.begin(), weak=False)

    def close(self, worker: Any) -> None:
        """Every orderly end passes here, also one that no signal began."""
        self.begin()

    def begin(self) -> None:
        """Let this process end in time, whatever its main thread is doing."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._end_in_time, name="stopping", daemon=True).start()

    def _end_in_time(self) -> None:
        # Nothing is told before it is done: whoever reads our log may be what holds us up.
        time.sleep(TASKS_HAVE)
        os.kill(os.getpid(), signal.SIGQUIT)
        _tell("tasks_taken_away", "they go back to the broker")
        time.sleep(PROCESSES_HAVE - TASKS_HAVE)
        # Gone where the pool has ended.
        for process in getattr(self._worker.pool._pool, "_pool", ()):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        _tell("processes_killed", "they did not end, and the worker waited for them")
        time.sleep(WORKER_HAS - PROCESSES_HAVE)
        _tell("worker_ended_hard", "it did not end by itself").join(0.5)
        os._exit(1)


def _tell(event: str, message: str) -> threading.Thread:
    telling = threading.Thread(
        target=logger.critical, args=(event,), kwargs={"message": message}, daemon=True
    )
    telling.start()
    return telling


def settle(pool: Any) -> None:
    """Before a pool is closed: what is half written to a process is written, what is not is given up.

    Celery leaves the half as it is, and the process waits for the rest for ever. And it forgets what is
    written and not yet begun, so that nobody hears its process say that it is done: that waits half a
    minute to be heard.
    """
    processes = pool._pool
    for job in list(processes._cache.values()):
        writing = getattr(job, "_writer", None)
        writer = writing() if writing else None
        if job._write_to is None or (writer and inspect.getgeneratorstate(writer) == inspect.GEN_CREATED):
            job.discard()
        elif writer in processes._active_writers:
            processes._flush_writer(job._write_to, writer)
    processes.outbound_buffer.clear()
    pool.flush = None
