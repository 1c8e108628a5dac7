"""The courier: takes what is spooled to the broker until a receipt says that it is recorded."""

import threading
import time
from collections.abc import Callable
from typing import Final

from mpesa_balance import logs
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.errors import BrokerUnavailable, SpoolUnavailable
from webhooks import metrics
from webhooks.publisher import Publisher
from webhooks.spool import Spool, Spooled, age_seconds

logger = logs.get_logger(__name__)

#: So many callbacks go into one message.
BATCH: Final = 100

#: While so many messages wait in the broker, the spool is where the others wait.
MOST_QUEUED: Final = 100

#: So long what comes is gathered for one message, in seconds, where more than one came in the time
#: before: a message costs ten times what a callback in it does. What comes alone goes at once.
_GATHERED: Final = 0.05
_ALONE: Final = 1

#: The answers that a commit releases want the interpreter as well, and go before. In seconds.
_ANSWERS_FIRST: Final = 0.002

#: What has no receipt after the first of these is published again; each time in vain takes twice as
#: long, up to the second. In seconds.
_FIRST_PATIENCE: Final = 5.0
_LONGEST_PATIENCE: Final = 15.0

#: What still waits in the broker is not lost; after so many more seconds it is published again none
#: the less.
_FULL_QUEUE_PATIENCE: Final = 60.0

#: After so many rounds in vain each callback goes alone, so that none can hold up others.
_ALONE_AFTER: Final = 3

_PAUSE_AFTER_FAILURE: Final = 0.5


class Courier:
    """Publishes one spool in its order, and again what has no receipt. It holds up no answer."""

    def __init__(self, spool: Spool, publisher: Publisher, recorded: Callable[[list[int]], None]) -> None:
        self._spool = spool
        self._publisher = publisher
        self._recorded = recorded
        self._reader = spool.reader()
        self._news = threading.Event()
        #: Up to here everything was published once by this process.
        self._published = 0
        #: The round that publishes again: from here, up to there.
        self._again, self._mark = 0, 0
        self._round_at = time.monotonic() + _FIRST_PATIENCE
        self._rounds_in_vain = 0
        self._is_failing = False
        self._is_over = False
        #: When this time began, how many went in it, and whether there was more than one in the last.
        self._gathering_since, self._gathered, self._is_much = 0.0, 0, False
        #: How often the broker did not take what it was given.
        self.failures = 0

    def start(self) -> None:
        """Begin, with what is in the spool."""
        threading.Thread(target=self._run, name="courier", daemon=True).start()

    def wake(self) -> None:
        """There is something new in the spool."""
        self._news.set()

    def end(self) -> None:
        """Another one has taken over, with another spool."""
        self._is_over = True
        self._news.set()

    @property
    def oldest_seconds(self) -> float:
        """The age of the oldest callback that waits for its receipt."""
        reader = self._spool.reader()
        try:
            return age_seconds(reader.oldest_received_at())
        finally:
            reader.close()

    def _run(self) -> None:
        while not self._is_over:
            if not self._spool.depth:
                self._news.wait()
                time.sleep(_ANSWERS_FIRST)
            self._news.clear()
            try:
                self._collect()
                self._ship()
            except (BrokerUnavailable, SpoolUnavailable) as error:
                self._failed(error)
            else:
                self._is_failing = False
            self._rest()

    def _rest(self) -> None:
        """Until there is news, or until enough has been gathered where news come thick and fast."""
        if self._is_much:
            time.sleep(max(self._gathering_since + _GATHERED - time.monotonic(), 0))
        elif self._news.wait(_GATHERED):
            time.sleep(_ANSWERS_FIRST)
        if time.monotonic() >= self._gathering_since + _GATHERED:
            self._is_much = self._gathered > _ALONE
            self._gathering_since, self._gathered = time.monotonic(), 0

    def _ship(self) -> None:
        self._begin_round()
        # What comes from now on waits for the next time: it could come for ever.
        newest = self._reader.newest()
        while batch := self._next(newest):
            if self._publisher.queued() >= MOST_QUEUED:
                # What comes meanwhile makes no room there.
                self._gathered, self._is_much = _ALONE + 1, True
                return
            crash_at(CrashPoint.CALLBACK_NOT_PUBLISHED)
            self._publisher.publish_spooled(self._spool.id, batch)
            crash_at(CrashPoint.PUBLISHING_NOT_NOTED)
            self._went(batch)

    def _next(self, newest: int) -> list[Spooled]:
        """What was never published comes before what is published again."""
        size = 1 if self._rounds_in_vain >= _ALONE_AFTER else BATCH
        return self._reader.after(self._published, BATCH, newest) or self._reader.after(
            self._again, size, self._mark
        )

    def _went(self, batch: list[Spooled]) -> None:
        self._gathered += len(batch)
        last = batch[-1].number
        if last > self._published:
            self._published = last
        else:
            self._again = last

    def _begin_round(self) -> None:
        """Once patience is over, what was published before it began is published again."""
        overdue = time.monotonic() - self._round_at
        if overdue < 0 or self._reader.after(self._again, 1, self._mark):
            return
        in_vain = bool(self._reader.after(0, 1, self._mark))
        if in_vain and overdue < _FULL_QUEUE_PATIENCE and self._publisher.queued():
            return
        # A receipt says nothing of the others, so only a round that leaves none behind begins anew.
        self._rounds_in_vain = min(self._rounds_in_vain + 1, _ALONE_AFTER) if in_vain else 0
        if in_vain:
            logger.warning("callbacks_without_receipt_go_again", round=self._rounds_in_vain)
        self._again = 0 if in_vain else self._published
        self._mark = self._published
        patience = min(_FIRST_PATIENCE * 2**self._rounds_in_vain, _LONGEST_PATIENCE)
        self._round_at = time.monotonic() + patience

    def _collect(self) -> None:
        numbers = self._publisher.receipts(self._spool.id) if self._spool.depth else []
        if numbers:
            crash_at(CrashPoint.RECEIPT_NOT_APPLIED)
            self._recorded(numbers)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        metrics.publish_failed()
        if not self._is_failing:
            logger.warning("callbacks_stay_in_spool", reason=str(error))
        self._is_failing = True
        time.sleep(_PAUSE_AFTER_FAILURE)
