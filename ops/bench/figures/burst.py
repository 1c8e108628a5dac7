"""A burst: far more callbacks than can be recorded at once, all accepted, none lost."""

import time
from typing import Final

from ops.bench.driving import Driver, numbers
from ops.bench.figures.figure import OURS, Figure, Goal, Reading, setting
from ops.bench.ours import KEYS, Ours
from ops.bench.plans import Outcome, Plan
from ops.bench.population import asked
from ops.bench.rounds import new_round, until_it_stalls
from ops.bench.sampling import sampled

COUNT: Final = int(setting("BURST", 300_000))
RATE: Final = setting("BURST_RATE", 5000)

_CONNECTIONS: Final = 256
_SEED: Final = 10
_SHORTCODES: Final = 1000

#: A worker that has recorded nothing for so long records nothing any more, in seconds.
_STALLED: Final = 60.0


def ours() -> Reading:
    """The webhook tier, and the worker for callbacks, which records meanwhile."""
    with new_round() as running:
        system = Ours(running)
        system.register(_SHORTCODES)
        system.fill(asked(_SEED, COUNT, _SHORTCODES))
        system.start_webhooks()
        system.start_callbacks_worker()
        running.wait_for_workers(1)
        driver = Driver(running, _plan(system.port))
        before, began = running.usage(), time.time()
        with sampled(lambda: {"recorded": system.progress()}, every=2) as lines:
            outcome = driver.run()
            accepted_at = time.time()
            until_it_stalls(system.progress, system.completed, COUNT, _STALLED)
        used = running.usage().since(before)
        found = _numbers(system, outcome, began, accepted_at)
        completed = max(system.completed(), 1)
        accepting = [(0.0, 0.0), (accepted_at - began, float(outcome.answered))]
        return Reading({**found, **used.numbers(completed)}, {"accepted": accepting, **lines})


def _numbers(system: Ours, outcome: Outcome, began: float, accepted_at: float) -> dict[str, float]:
    told, ended_at, completed = numbers(outcome), system.last_completed_at(), system.completed()
    return {
        "accepted per s": told["rate"],
        "accept p50 ms": told["p50 ms"],
        "accept p99 ms": told["p99 ms"],
        "accept longest ms": told["longest ms"],
        "not accepted": COUNT - outcome.answered,
        "lost": outcome.answered - completed,
        "drain seconds": max(ended_at - accepted_at, 0),
        "recorded per s": completed / (ended_at - began),
    }


def _plan(port: int) -> Plan:
    return Plan(
        port=port,
        recipe="ours",
        seed=_SEED,
        count=COUNT,
        connections=_CONNECTIONS,
        rate=RATE,
        callback_keys=KEYS["CALLBACK_KEYS"],
    )


FIGURE: Final = Figure(
    name="burst",
    title="A burst of callbacks",
    note=(
        f"{COUNT:,} callbacks at {RATE:,.0f} a second on {_CONNECTIONS} connections, an open loop: latency "
        "counts from when each was due. The worker for callbacks (2 processes) records meanwhile. Lost: "
        "answered with 200 less completed in Postgres at the end; below 0 where some were completed that "
        "heard no answer, behind whom as many losses could hide. The drain is from the last answer until "
        "the last move. CPU is for each that was completed."
    ),
    systems={OURS: ours},
    shown=(
        *("accepted per s", "accept p50 ms", "accept p99 ms", "accept longest ms", "not accepted", "lost"),
        *("drain seconds", "recorded per s", "CPU ms"),
    ),
    axes=("seconds", "callbacks"),
    sizes=("BURST", "BURST_RATE"),
    goals=(
        Goal(number="lost", at_most=0),
        Goal(number="not accepted", at_most=0),
        Goal(number="accept p99 ms", at_most=100),
        Goal(number="drain seconds"),
    ),
    rounds=1,
)
