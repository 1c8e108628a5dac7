"""The memory of each process while many callbacks pass through."""

import statistics
from typing import Final

from ops.bench.driving import Driver
from ops.bench.figures.figure import OURS, Figure, Goal, Line, Reading, setting
from ops.bench.ours import KEYS, Ours
from ops.bench.plans import Plan
from ops.bench.population import asked
from ops.bench.rounds import new_round, until_it_stalls
from ops.bench.sampling import Memory, sampled

COUNT: Final = int(setting("MEMORY", 500_000))
RATE: Final = setting("MEMORY_RATE", 1000)

_SEED: Final = 11
_SHORTCODES: Final = 1000

#: A worker that has recorded nothing for so long records nothing any more, in seconds.
_STALLED: Final = 60.0

#: How often it is looked at, in seconds: about three hundred times.
_EVERY: Final = max(COUNT / RATE / 300, 0.2)


def ours() -> Reading:
    """The webhook tier and the worker for callbacks, from the first callback until the last is recorded."""
    with new_round() as running:
        system = Ours(running)
        system.register(_SHORTCODES)
        system.fill(asked(_SEED, COUNT, _SHORTCODES))
        system.start_webhooks()
        system.start_callbacks_worker()
        running.wait_for_workers(1)
        driver = Driver(
            running,
            Plan(
                port=system.port,
                recipe="ours",
                seed=_SEED,
                count=COUNT,
                rate=RATE,
                callback_keys=KEYS["CALLBACK_KEYS"],
            ),
        )
        with sampled(Memory(running).look, _EVERY) as lines:
            outcome = driver.run()
            until_it_stalls(system.progress, system.completed, COUNT, _STALLED)
        growths = {f"growth, {name}": _growth(line) for name, line in lines.items()}
        found = {
            "growth": max(growths.values()),
            "MiB": sum(line[-1][1] for line in lines.values()),
            "not completed": COUNT - system.completed(),
            "not accepted": COUNT - outcome.answered,
            **growths,
        }
        return Reading(found, lines)


def _growth(line: Line) -> float:
    """The median of the last third by that of the second."""
    third = len(line) // 3
    if not third:
        return float("nan")
    second, last = line[third : 2 * third], line[2 * third :]
    return statistics.median(y for _, y in last) / statistics.median(y for _, y in second)


FIGURE: Final = Figure(
    name="memory",
    title="Memory while callbacks pass through",
    note=(
        f"{COUNT:,} callbacks at {RATE:,.0f} a second through the webhook tier (its main process is 0) and "
        "the worker for callbacks, whose children are replaced now and then: resident memory of each "
        f"process every {_EVERY:.1f} s. Growth is the median of the last third of the time by that of the "
        "second third; the largest of all processes is held against the goal."
    ),
    systems={OURS: ours},
    shown=("growth", "MiB", "not accepted", "not completed"),
    axes=("seconds", "MiB"),
    sizes=("MEMORY", "MEMORY_RATE"),
    goals=(Goal(number="growth", at_most=1.05), Goal(number="not completed", at_most=0)),
    rounds=1,
)
