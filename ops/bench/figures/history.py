"""What a query costs with few and with many stored: `storing` measures it."""

from typing import Final

from mpesa_balance import logs
from ops.bench.figures import storing
from ops.bench.figures.figure import OURS, Figure, Goal, Reading, setting

STORED: Final = int(setting("STORED", 5_000_000))

_FEW: Final = 1_000
_QUERIES: Final = int(setting("STORED_QUERIES", 1000))
_ROUNDS: Final = 4


def ours() -> Reading:
    """Two databases of one Postgres, asked in turn by our own verbs."""
    logs.configure("ERROR")
    found = storing.run((_FEW, STORED), _QUERIES, _ROUNDS)
    few, many, ratio = found.median(_FEW), found.median(STORED), found.ratio()
    return Reading(
        {
            "wall, ratio": ratio.wall,
            "CPU, ratio": ratio.cpu,
            "wall ms, few": few.wall * 1000,
            "wall ms, many": many.wall * 1000,
            "CPU ms, few": few.cpu * 1000,
            "CPU ms, many": many.cpu * 1000,
        }
    )


FIGURE: Final = Figure(
    name="history",
    title="The cost of a query with a long history",
    note=(
        f"Whole queries by the worker's own verbs, in one process and with a stand-in for Daraja, in two "
        f"databases of one Postgres in turn ({_ROUNDS} times {_QUERIES:,} queries each): with {_FEW:,} and "
        f"with {STORED:,} stored queries and all that hangs on them. Medians of the turns. "
        "`python -m ops.bench.figures.storing` tells of each turn, and of what people read. That no "
        "statement of the hot path reads a table or an index from end to end is a test: test_plans.py."
    ),
    systems={OURS: ours},
    shown=("wall, ratio", "CPU, ratio", "wall ms, few", "wall ms, many", "CPU ms, few", "CPU ms, many"),
    sizes=("STORED", "STORED_QUERIES"),
    goals=(Goal(number="wall, ratio", at_most=1.15), Goal(number="CPU, ratio", at_most=1.15)),
    rounds=1,
)
