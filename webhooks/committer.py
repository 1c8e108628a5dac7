"""The group commit: callbacks that come together share one fsync, and are answered after it."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
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

#: How often it is looked whether the disk answers. In seconds.
_LOOK_EVERY: Final = 0.05

#: What is recorded is dropped with the next callbacks that come, or after so long. In seconds.
_FORGET_AFTER: Final = 0.2

#: A disk that has failed is passed by for so long. In seconds.
_TRY_DISK_AGAIN_AFTER: Final = 1.0


class _Waiting:
    """Callbacks whose sender waits for an answer."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self.deliveries = deliveries
        self.kept: Future[None] = Future()

    def answer(self, error: BrokerUnavailable | None = None) -> None:
        """Say that they are kept, or that nothing takes them; a disk that was silent may say so late."""
        with suppress(InvalidStateError):
            self.kept.set_exception(error) if error else self.kept.set_result(None)


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
        #: What is being written, and since when; None while nothing is.
        self._writing: list[_Waiting] = []
        self._writing_since: float | None = None
        #: Called after each commit of new callbacks.
        self.when_committed: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin, with what the process before this one left."""
        threading.Thread(target=self._run, name="committer", daemon=True).start()
        threading.Thread(target=self._relieve, name="relief", daemon=True).start()

    def keep(self, *deliveries: Delivery) -> "Future[None]":
        """Done when the callbacks are safe. Fails with BrokerUnavailable where nothing takes them."""
        waiting = _Waiting(deliveries)
        self._queue.put(waiting)
        return waiting.kept

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
            self._commit(*self._next())

    def _next(self) -> tuple[list[_Waiting], list[int]]:
        """What to commit next: callbacks at once, and what is recorded with them."""
        waiting, recorded = _sorted([self._queue.get()])
        ends = time.monotonic() + _FORGET_AFTER
        while not waiting and (left := ends - time.monotonic()) > 0:
            with suppress(queue.Empty):
                waiting, more = _sorted([self._queue.get(timeout=left)])
                recorded += more
        others, more = _sorted(self._taken())
        return waiting + others, recorded + more

    def _taken(self) -> Iterator[_Waiting | list[int]]:
        with suppress(queue.Empty):
            while True:
                yield self._queue.get_nowait()

    def _relieve(self) -> None:
        """A disk that says nothing is not waited for again: what comes meanwhile goes to the broker."""
        while True:
            time.sleep(_LOOK_EVERY)
            since = self._writing_since
            if since is None or time.monotonic() - since < DISK_PATIENCE:
                continue
            waiting, recorded = _sorted(self._taken())
            # The disk hears of these once it answers.
            self.forget(recorded)
            unanswered = [one for one in (*self._writing, *waiting) if not one.kept.done()]
            if unanswered:
                reason = f"the disk is silent for {DISK_PATIENCE} s"
                logger.warning("callbacks_go_to_broker", count=len(unanswered), reason=reason)
            self._fall_back(unanswered)

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
        self._writing, self._writing_since = waiting, time.monotonic()
        try:
            self._opened().write(_deliveries(waiting), recorded)
        finally:
            self._writing, self._writing_since = [], None

    def _answer(self, waiting: list[_Waiting]) -> None:
        if not waiting:
            return
        crash_at(CrashPoint.CALLBACK_NOT_ANSWERED)
        for one in waiting:
            one.answer()
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
        """Give them to the broker, and answer when it has confirmed them; save whom relief has answered."""
        waiting = [one for one in waiting if not one.kept.done()]
        if not waiting:
            return
        deliveries, failed = _deliveries(waiting), None
        try:
            self._publisher.publish(deliveries)
            metrics.fell_back(len(deliveries))
        except BrokerUnavailable as error:
            failed = error
        for one in waiting:
            one.answer(failed)


def _sorted(taken: Iterable[_Waiting | list[int]]) -> tuple[list[_Waiting], list[int]]:
    """Who waits for an answer, and the numbers that are recorded."""
    waiting: list[_Waiting] = []
    recorded: list[int] = []
    for one in taken:
        waiting.append(one) if isinstance(one, _Waiting) else recorded.extend(one)
    return waiting, recorded


def _deliveries(waiting: Iterable[_Waiting]) -> list[Delivery]:
    return [delivery for one in waiting for delivery in one.deliveries]
