"""The watch over a worker by itself: it sends ticks where no beat does, and notices its own deafness.

A worker can be alive and take nothing (a broker connection that looks open and is not). It sends
itself a canary through the broker; one that does not come home ends the worker, and its supervisor
starts it anew.
"""

import os
import signal
import threading
import time
from typing import Any, Final

from celery import bootsteps
from celery.worker import state
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError
from redis import RedisError

from mpesa_balance import contract, logs
from worker.pulse import Pulse

logger = logs.get_logger(__name__)

#: A canary that is out for so many intervals is dead.
_PATIENCE: Final = 4

#: A worker that lost its broker asks for it again after up to 30 s (kombu's `ensure_connection`), and
#: until then it is not deaf, however many canaries the broker has taken meanwhile. In seconds.
_RECONNECTED_WITHIN: Final = 35

#: What Redis keeps of a worker that sends no canaries any more, in seconds.
_FORGOTTEN_AFTER: Final = 86_400


class Watch(bootsteps.StartStopStep):
    """A thread beside the worker's main loop, which must be watched from outside."""

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._worker = worker
        self._name = worker.hostname
        name = f"mpesa-canary-{worker.hostname}"
        self._queue = Queue(name, Exchange(name, type="direct"), routing_key=name)
        worker.app.amqp.queues.select_add(self._queue)
        self._stopped = threading.Event()
        #: Since when a canary is out, and how many had come home before.
        self._out_since: float | None = None
        self._heard = 0

    def start(self, worker: Any) -> None:
        """Begin to watch."""
        threading.Thread(target=self._run, args=(worker.app,), name="watch", daemon=True).start()

    def stop(self, worker: Any) -> None:
        """The worker ends."""
        self._stopped.set()

    def _run(self, app: Any) -> None:
        try:
            self._watch(app)
        finally:
            # Whatever went wrong here, a worker must not go on without its watch.
            if not self._stopped.is_set():
                self._end()

    def _watch(self, app: Any) -> None:
        from worker.app import SETTINGS

        intervals = {job: 2 * interval for job, interval in SETTINGS.intervals.items()}
        intervals[contract.CANARY] = SETTINGS.canary_interval
        due = {job: time.monotonic() + interval for job, interval in intervals.items()}
        pulse = Pulse(SETTINGS.health_directory, self._name, SETTINGS.canary_interval)
        pulse.beat(_canaries())
        while not self._stopped.wait(max(min(due.values()) - time.monotonic(), 0)):
            for job in [job for job, at in due.items() if at <= time.monotonic()]:
                due[job] = time.monotonic() + intervals[job]
                self._send(app, job, intervals[job])
                pulse.beat(_canaries())
            self._look(SETTINGS.canary_interval)

    def _send(self, app: Any, job: str, interval: int) -> None:
        is_canary = job == contract.CANARY
        heard = _canaries()
        queue = {"queue": self._queue} if is_canary else {}
        try:
            # A connection of its own: the worker's may be the one that is deaf.
            with app.connection_for_write() as connection:
                app.send_task(job, connection=connection, expires=_PATIENCE * interval, **queue)
                # A worker that is gone for good takes what kombu keeps of its queue with it.
                for key in (self._queue.name, f"_kombu.binding.{self._queue.name}") if is_canary else ():
                    connection.default_channel.client.expire(key, _FORGOTTEN_AFTER)
        except (OperationalError, RedisError) as error:
            logger.warning("tick_not_sent", job=job, reason=str(error))
            # A broker that is away is no fault of this worker.
            self._out_since = None if is_canary else self._out_since
            return
        if is_canary and self._out_since is None:
            self._out_since, self._heard = time.monotonic(), heard

    def _look(self, interval: int) -> None:
        if self._out_since is None:
            return
        if _canaries() > self._heard:
            self._out_since = None
        elif time.monotonic() - self._out_since > max(_PATIENCE * interval, _RECONNECTED_WITHIN):
            # First: whoever reads our log may be what holds us up.
            self._end()
            logger.critical(
                "worker_deaf",
                message="it takes no messages although the broker takes them, and ends itself",
            )

    def _end(self) -> None:
        self._stopped.set()
        # The main loop may be what hangs, and would bound nothing then.
        self._worker.stopping.begin()
        os.kill(os.getpid(), signal.SIGTERM)


def _canaries() -> int:
    """How many this worker has taken since it began."""
    count: int = state.total_count.get(contract.CANARY, 0)
    return count
