"""The list of all figures, in the order of the report."""

from typing import Final

from ops.bench.figures import accept, burst, due, history, latency, memory, queries, record
from ops.bench.figures.figure import Figure

FIGURES: Final[tuple[Figure, ...]] = (
    accept.FIGURE,
    record.FIGURE,
    queries.FIGURE,
    latency.FIGURE,
    burst.FIGURE,
    memory.FIGURE,
    history.FIGURE,
    due.FIGURE,
)
