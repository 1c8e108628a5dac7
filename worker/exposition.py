"""The worker's metrics for Prometheus: its main process serves what all its processes count."""

import os
from typing import Any

from celery import bootsteps

from mpesa_balance.exposition import Exposition, count_together
from worker import metrics
from worker.standing import StandingCollector


class Exposing(bootsteps.StartStopStep):
    """Begins before the worker's processes are forked, and ends with them."""

    def include_if(self, worker: Any) -> bool:
        """Only where somebody is told a port."""
        from worker.app import SETTINGS

        return SETTINGS.metrics.port != 0

    def create(self, worker: Any) -> None:
        """Count together, before the worker's processes are forked."""
        # One that is being replaced may not have ended yet.
        self._directory = count_together("worker", os.getpid(), forked=worker.concurrency + 1)
        # Made anew, and at nothing: a rate is known from the first one that is counted.
        metrics.counted.cache_clear()
        metrics.counted()

    def start(self, worker: Any) -> None:
        """Serve."""
        from worker.app import SETTINGS

        if self._directory is not None:
            collector = StandingCollector(SETTINGS)
            Exposition(SETTINGS.metrics, self._directory, [collector]).start()
