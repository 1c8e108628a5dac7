"""The ingress of one process: its committer, its courier, and what ended processes left behind."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from mpesa_balance import logs
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import SpoolUnavailable, Unavailable
from webhooks.committer import Committer
from webhooks.courier import Courier
from webhooks.publisher import Publisher
from webhooks.spool import Spool
from webhooks.spool_directory import SpoolDirectory

logger = logs.get_logger(__name__)

#: How often spools are looked for whose processes have ended, in seconds.
_LOOK_EVERY: Final = 10.0

#: So many callbacks of an ended process are kept anew at a time.
_BATCH: Final = 500


class Gauges(NamedTuple):
    """The state of one process's spool: whether it is used, callbacks in it, age of the oldest,
    publishing failures."""

    is_spooling: bool
    depth: int
    oldest_seconds: float
    publish_failures: int


class Ingress:
    """Keeps callbacks: on this disk, or with the broker where the disk fails."""

    def __init__(self, spool_directory: Path, publisher: Publisher) -> None:
        self._directory = SpoolDirectory(spool_directory)
        self._publisher = publisher
        self._courier: Courier | None = None
        self._committer = Committer(self._directory.claim, publisher, self._begin)
        self._committer.start()
        #: Redis and the disk may take their time, and whoever asks for a callback's answer does not wait.
        self._looking = ThreadPoolExecutor(1, "looking")
        threading.Thread(target=self._adopt, name="adopter", daemon=True).start()

    def keep(self, delivery: Delivery) -> "Future[None]":
        """Done when the callback is safe. Fails with BrokerUnavailable where nothing takes it."""
        return self._committer.keep(delivery)

    def look(self) -> "Future[Gauges]":
        """The gauges, in a moment. Fails with BrokerUnavailable where nothing would take a callback."""
        return self._looking.submit(self._look)

    def _look(self) -> Gauges:
        if self._committer.spool is None or self._committer.is_failing:
            self._publisher.check()
        return self.gauges()

    def gauges(self) -> Gauges:
        """What there is to know of the spool now."""
        spool, courier = self._committer.spool, self._courier
        if spool is None or courier is None:
            return Gauges(False, 0, 0.0, 0)
        try:
            oldest = round(courier.oldest_seconds, 1)
        except SpoolUnavailable:
            return Gauges(False, spool.depth, 0.0, courier.failures)
        return Gauges(not self._committer.is_failing, spool.depth, oldest, courier.failures)

    def _begin(self, spool: Spool) -> None:
        """The courier begins when there is a spool, and another one when there is another."""
        if self._courier is not None:
            self._courier.end()
        self._courier = Courier(spool, self._publisher, self._committer.forget)
        self._committer.when_committed = self._courier.wake
        self._courier.start()

    def _adopt(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY)
            try:
                with self._directory.left_behind() as spools:
                    for spool in spools:
                        self._take_over(spool)
            except Unavailable as error:
                logger.warning("left_spool_stays_there", reason=str(error))

    def _take_over(self, spool: Spool) -> None:
        """Keep anew what is in another spool, and only then forget it there."""
        reader, taken = spool.reader(), 0
        while batch := reader.after(0, _BATCH):
            self._committer.keep(*(one.delivery for one in batch)).result()
            spool.write((), [one.number for one in batch])
            taken += len(batch)
        reader.close()
        if taken:
            logger.warning("left_spool_taken_over", callbacks=taken)
