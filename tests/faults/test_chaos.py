"""Everything at once, in an order that a seed decides, for CHAOS_SECONDS (60); then rest (F34)."""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import pytest

from tests.faults.conftest import Arena
from tests.faults.report import Teller
from tests.faults.storms import Step, under_storm

pytestmark = pytest.mark.faults

SECONDS = int(os.environ.get("CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("CHAOS_SEED", "20261122"))

#: What breaking and mending takes by itself, about, in seconds: no fault shall outlast the storm.
ACTING = 0.25


@dataclass(frozen=True)
class Fault:
    """What is broken, and what mends it some seconds later."""

    name: str
    broken: Callable[[], object]
    mended: Callable[[], object] = lambda: None


def faults(arena: Arena) -> list[Fault]:
    redis, postgres = arena.redis, arena.postgres

    def pause(processes: Callable[[], list[psutil.Process]], number: int) -> Callable[[], None]:
        return lambda: [os.kill(one.pid, number) for one in processes()] and None

    return [
        Fault("Redis killed", redis.kill, redis.start),
        Fault("Redis emptied", redis.client.flushall),
        Fault("Redis loses its disk", redis.lose_everything),
        Fault("Redis hung", redis.pause, redis.resume),
        Fault("Redis out of reach", redis.proxy.refuse, redis.proxy.heal),
        Fault("Redis half open", redis.proxy.fall_silent, lambda: (redis.proxy.cut(), redis.proxy.heal())),
        Fault("Postgres restarted", lambda: postgres.stop("fast"), postgres.start),
        Fault("Postgres crashed", lambda: postgres.stop("immediate"), postgres.start),
        Fault("Postgres sessions ended", postgres.end_all_sessions),
        Fault("Postgres cut", postgres.proxy.cut),
        Fault(
            "Postgres half open",
            postgres.proxy.fall_silent,
            lambda: (postgres.proxy.cut(), postgres.proxy.heal()),
        ),
        Fault("workers killed", lambda: arena.kill(arena.workers())),
        Fault("workers told to stop", pause(arena.workers, signal.SIGTERM)),
        Fault("workers paused", pause(arena.workers, signal.SIGSTOP), pause(arena.workers, signal.SIGCONT)),
    ]


def plan(menu: list[Fault]) -> tuple[list[Step], str]:
    """Every fault, and how long it lasts, before the first of them; and how often each one comes."""
    chance = random.Random(SEED)
    steps: list[Step] = []
    served: Counter[str] = Counter()
    planned = 0.0
    while planned < SECONDS:
        fault, broken, mended = chance.choice(menu), chance.uniform(0.5, 6), chance.uniform(0, 3)
        steps += [fault.broken, broken, fault.mended, mended]
        served[fault.name] += 1
        planned += broken + mended + ACTING
    return steps, ", ".join(f"{name} {count} x" for name, count in sorted(served.items()))


def test_chaos(arena: Arena, told: Teller) -> None:
    """The webhook process itself is left alone: what a dead port is offered, nobody can keep."""
    steps, listed = plan(faults(arena))
    what = f"chaos of {SECONDS} s, seed {SEED}: {listed}"
    under_storm(arena, told, "F34", what, steps, patience=180, seconds=SECONDS)
