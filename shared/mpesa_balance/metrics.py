"""How a program's metrics are made: with one prefix, in memory until its processes count together."""

from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.values import MutexValue

#: What the name of every metric begins with.
PREFIX: Final = "mpesa_balance"

# A host may have set PROMETHEUS_MULTIPROC_DIR for another program: by itself, and without anybody who
# clears it up, prometheus_client would begin to write there. See exposition.py.
values.ValueClass = MutexValue


class Metrics:
    """The metrics of one process; those of a program are made below it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=PREFIX, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, namespace=PREFIX, registry=self.registry, buckets=buckets)

    def _gauge(self, name: str, text: str, mode: Literal["livesum", "livemax"]) -> Gauge:
        """mode: how those of several processes become one."""
        return Gauge(name, text, namespace=PREFIX, registry=self.registry, multiprocess_mode=mode)
