"""Everything at once, in an order that a seed decides, for CHAOS_SECONDS (60); then rest (F34)."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import pytest

from tests.faults.conftest import Arena
from tests.faults.report import Teller
from tests.faults.traffic import asking, asking_again

pytestmark = pytest.mark.faults

SECONDS = int(os.environ.get("CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("CHAOS_SEED", "20261122"))

#: Callbacks and requests in a second.
CALLBACKS = 20
REQUESTS = 3


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


def test_chaos(arena: Arena, told: Teller) -> None:
    """The webhook process itself is left alone: what a dead port is offered, nobody can keep."""
    chance = random.Random(SEED)
    menu = faults(arena)
    storm = arena.storm
    attempts = storm.prepare(CALLBACKS * SECONDS)
    refused = arena.ledger.books.refused
    served: dict[str, int] = {}
    ends = time.monotonic() + SECONDS
    with asking_again(arena.callers):
        with asking(arena.callers, REQUESTS), arena.posting(storm, attempts, CALLBACKS) as latencies:
            while time.monotonic() < ends:
                fault = chance.choice(menu)
                served[fault.name] = served.get(fault.name, 0) + 1
                fault.broken()
                time.sleep(chance.uniform(0.5, 6))
                fault.mended()
                time.sleep(chance.uniform(0, 3))
        found, recovered = arena.settle(180)
    slowest = sorted(latencies)[int(len(latencies) * 0.99)]
    listed = ", ".join(f"{name} {count} x" for name, count in sorted(served.items()))
    what = f"chaos of {SECONDS} s, seed {SEED}: {listed}"
    told.tell("F34", what, found, recovered, f"{slowest * 1000:.0f} ms")
    assert len(latencies) == len(attempts)
    assert arena.ledger.books.refused == refused
