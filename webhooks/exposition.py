"""The webhook tier's metrics for Prometheus: one of its processes serves what all of them count."""

import os
from pathlib import Path

from mpesa_balance.exposition import Exposition, count_together
from mpesa_balance.settings import MetricsSettings
from webhooks import metrics
from webhooks.ingress import Ingress


def shared(settings: MetricsSettings) -> Path | None:
    """Where this process counts together with the others of its server; None where nobody is told of it."""
    directory = count_together("webhooks", os.getppid()) if settings.port else None
    # Made anew, and at nothing: a rate is known from the first one that is counted.
    metrics.counted.cache_clear()
    metrics.counted()
    return directory


def expose(settings: MetricsSettings, directory: Path | None, ingress: Ingress) -> None:
    """Serve what is counted there, in whichever of the processes has the port."""

    def refresh() -> None:
        metrics.spool_stands(ingress.gauges())

    if directory is not None:
        Exposition(settings, directory, refresh=refresh).start()
