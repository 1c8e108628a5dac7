"""The group commit: callbacks that come together share one fsync, and are answered after it."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Final

from mpesa_balance import logs
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import BrokerUnavailable, SpoolUnavailable
from webhooks import metrics
from webhooks.publisher import Publisher
from webhooks.spool import Spool

logger = logs.get_logger(__name__)

#: A disk that has not answered by then is taken for one that does not.
DISK_PATIENCE: Final = 3.0

#: A disk that has failed is passed by for so long. In seconds.
_TRY_DISK_AGAIN_AFTER: Final = 1.0


class _Waiting:
    """Callbacks whose sender waits for an answer."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self.deliveries = deliveries
        self.kept: Future[None] = Future()


class Committer:
    """The one writer of its process's spool. What it cannot spool it gives to the broker at once."""

    def __init__(
        self, open_spool: Callable[[], Spool], publisher: Publisher, when_opened: Callable[[Spool], None]
    ) -> None:
        self._open_spool = open_spool
        self._publisher = publisher
        self._when_opened = when_opened
        self._queue: queue.SimpleQueue[_Waiting | list[int]] = queue.SimpleQueue()
        self._spool: Spool | None = None
        self._pass_by_until = 0.0
        #: Whether the disk took nothing the last time.
        self.is_failing = False
        #: Since when the commit lasts that is going on; None for none.
        self._writing_since: float | None = None
        #: Called after each commit of new callbacks.
        self.when_committed: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin, with what the process before this one left."""
        threading.Thread(target=self._run, name="committer", daemon=True).start()

    def keep(self, *deliveries: Delivery) -> None:
        """Return when the callbacks are safe. Raises BrokerUnavailable where nothing takes them."""
        waiting = _Waiting(deliveries)
        self._queue.put(waiting)
        try:
            waiting.kept.result(self._patience())
        except TimeoutError:
            logger.warning("callback_goes_to_broker", reason=f"the disk is silent for {DISK_PATIENCE} s")
            self._publisher.publish(deliveries)
            metrics.fell_back(len(deliveries))

    def _patience(self) -> float:
        """How long to wait for the disk: one that says nothing already is not waited for again."""
        since = self._writing_since
        return DISK_PATIENCE if since is None else max(since + DISK_PATIENCE - time.monotonic(), 0.0)

    def forget(self, numbers: Iterable[int]) -> None:
        """Drop what is recorded, with the next commit."""
        self._queue.put(list(numbers))

    @property
    def spool(self) -> Spool | None:
        """The spool, where there is one."""
        return self._spool

    def _run(self) -> None:
        # What the process before this one left is taken over at once.
        self._commit([], [])
        while True:
            taken = [self._queue.get()]
            while not self._queue.empty():
                taken.append(self._queue.get())
            waiting = [one for one in taken if isinstance(one, _Waiting)]
            recorded = [number for one in taken if isinstance(one, list) for number in one]
            self._commit(waiting, recorded)

    def _commit(self, waiting: list[_Waiting], recorded: list[int]) -> None:
        if waiting and self._is_gone():
            self._fall_back(waiting)
            waiting = []
        if time.monotonic() < self._pass_by_until:
            # Also what is recorded is left as it is: it will come again, and be recorded again.
            self._fall_back(waiting)
            return
        try:
            self._write(waiting, recorded)
        except SpoolUnavailable as error:
            self._tell(error)
            self._pass_by_until = time.monotonic() + _TRY_DISK_AGAIN_AFTER
            self._fall_back(waiting)
        else:
            self._tell(None)
            self._answer(waiting)

    def _write(self, waiting: list[_Waiting], recorded: list[int]) -> None:
        if waiting:
            crash_at(CrashPoint.CALLBACK_NOT_SPOOLED)
        self._writing_since = time.monotonic()
        try:
            self._opened().write(_deliveries(waiting), recorded)
        finally:
            self._writing_since = None

    def _answer(self, waiting: list[_Waiting]) -> None:
        if not waiting:
            return
        crash_at(CrashPoint.CALLBACK_NOT_ANSWERED)
        for one in waiting:
            one.kept.set_result(None)
        self.when_committed()

    def _is_gone(self) -> bool:
        """Whether the spool was deleted under us, and is not empty yet: until then it only gives."""
        if self._spool is None or not self._spool.is_gone:
            return False
        if self._spool.depth:
            return True
        # Its courier waits for nothing any more: another spool is begun.
        self._spool = None
        return False

    def _opened(self) -> Spool:
        if self._spool is None:
            self._spool = self._open_spool()
            self._when_opened(self._spool)
        return self._spool

    def _tell(self, error: SpoolUnavailable | None) -> None:
        """Say once that the disk fails, and once that it is back."""
        if error and not self.is_failing:
            logger.warning("spool_failing", reason=f"{error}; callbacks go to the broker meanwhile")
        elif self.is_failing and not error:
            logger.warning("spool_works_again")
        self.is_failing = error is not None

    def _fall_back(self, waiting: list[_Waiting]) -> None:
        """Give them to the broker, and answer when it has confirmed them."""
        if not waiting:
            return
        try:
            self._publisher.publish(_deliveries(waiting))
        except BrokerUnavailable as error:
            for one in waiting:
                one.kept.set_exception(error)
        else:
            metrics.fell_back(sum(len(one.deliveries) for one in waiting))
            for one in waiting:
                one.kept.set_result(None)


def _deliveries(waiting: Iterable[_Waiting]) -> list[Delivery]:
    return [delivery for one in waiting for delivery in one.deliveries]
