"""Shortcodes that are all due in one minute: `ticking` measures it."""

import statistics
from functools import partial
from typing import Final

from mpesa_balance import logs
from ops.bench.figures import ticking
from ops.bench.figures.figure import OURS, Figure, Goal, Reading, setting

DUE: Final = int(setting("DUE", 10_000))

_MINUTE: Final = 60


def _ours(spread: int) -> Reading:
    logs.configure("ERROR")
    found = ticking.run(DUE, spread)
    ticks = [one for one in found.ticks if one.opened]
    return Reading(
        {
            "opened": found.whole.opened,
            "last opened after s": found.seconds,
            "late s, longest": max(found.lags),
            "ticks": len(ticks),
            "opened, a tick": statistics.median(one.opened for one in ticks),
            "CPU ms of ours, a tick": statistics.median(one.ours for one in ticks) * 1000,
            "CPU ms of Postgres, a tick": statistics.median(one.postgres for one in ticks) * 1000,
            "statements, a tick": statistics.median(one.statements for one in ticks),
            "Redis commands, a tick": statistics.median(one.commands for one in ticks),
            "bytes to Redis, a tick": statistics.median(one.told for one in ticks),
        }
    )


FIGURE: Final = Figure(
    name="due",
    title="Many shortcodes due in one minute",
    note=(
        f"{DUE:,} shortcodes with a schedule each. *ours*: all due at one moment; *spread*: over a minute, "
        "as schedules are by default. The worker's own tick, with a real broker, until all have a query. "
        "What is opened is then submitted at the rate of its app. Figures of a tick are medians."
    ),
    systems={OURS: partial(_ours, 0), "spread": partial(_ours, _MINUTE)},
    shown=(
        *("opened", "last opened after s", "late s, longest", "ticks", "opened, a tick"),
        *("CPU ms of ours, a tick", "CPU ms of Postgres, a tick", "statements, a tick"),
        *("Redis commands, a tick", "bytes to Redis, a tick"),
    ),
    sizes=("DUE",),
    goals=(
        Goal(number="opened", at_least=DUE),
        Goal(number="last opened after s", at_most=_MINUTE),
        Goal(number="late s, longest", at_most=_MINUTE),
    ),
    rounds=1,
)
