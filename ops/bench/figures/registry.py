"""The list of all figures, in the order of the report."""

from typing import Final

from ops.bench.figures import accept, queries, record
from ops.bench.figures.figure import Figure

FIGURES: Final[tuple[Figure, ...]] = (accept.FIGURE, record.FIGURE, queries.FIGURE)
