"""Redis is killed, emptied, paused, cut off, full and flapping; nothing that was accepted is lost."""

import os
import signal

import pytest

from tests.faults.conftest import Arena
from tests.faults.report import Teller
from tests.faults.storms import under_storm
from tests.faults.traffic import asking_again

pytestmark = pytest.mark.faults

#: How long an outage lasts, in seconds: long enough for every timeout and backoff to be met.
OUTAGE = 15


@pytest.mark.long
def test_killed_and_started_again_with_its_data(arena: Arena, told: Teller) -> None:
    steps = [2, arena.redis.kill, 1, arena.redis.start, 2]
    under_storm(arena, told, "F6", "Redis killed (kill -9) and started again", steps)


def test_killed_and_started_again_empty(arena: Arena, told: Teller) -> None:
    steps = [2, arena.redis.lose_everything, 2, arena.redis.lose_everything, 2]
    under_storm(arena, told, "F6", "Redis killed twice, started again without its data", steps)


@pytest.mark.long
def test_emptied_while_it_runs(arena: Arena, told: Teller) -> None:
    steps = [2, arena.redis.client.flushall, 1, arena.redis.client.flushall, 2]
    under_storm(arena, told, "F12", "FLUSHALL, twice", steps)


@pytest.mark.long
def test_away_for_a_while(arena: Arena, told: Teller) -> None:
    steps = [1, arena.redis.proxy.refuse, OUTAGE, arena.redis.proxy.heal]
    under_storm(arena, told, "F7", f"Redis refuses connections for {OUTAGE} s", steps)


def test_hung(arena: Arena, told: Teller) -> None:
    steps = [1, arena.redis.pause, OUTAGE, arena.redis.resume]
    under_storm(arena, told, "F8", f"Redis accepts and says nothing for {OUTAGE} s", steps)


def test_half_open(arena: Arena, told: Teller) -> None:
    steps = [1, arena.redis.proxy.fall_silent, OUTAGE, arena.redis.proxy.cut, arena.redis.proxy.heal]
    under_storm(arena, told, "F9", f"connections to Redis half open for {OUTAGE} s", steps)


def test_flapping(arena: Arena, told: Teller) -> None:
    steps = [
        step for _ in range(12) for step in (0.6, arena.redis.proxy.refuse, 0.4, arena.redis.proxy.heal)
    ]
    under_storm(arena, told, "F10", "Redis gone and back 12 times in 12 s", steps)


def test_out_of_memory(arena: Arena, told: Teller) -> None:
    client = arena.redis.client

    def fill() -> None:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 1)

    steps = [2, fill, 10, lambda: client.config_set("maxmemory", 0), 2]
    under_storm(arena, told, "F11", "Redis out of memory (noeviction) for 10 s", steps)


def test_the_message_that_a_killed_worker_had_fetched(arena: Arena, told: Teller) -> None:
    """Paused, given a message, killed: the one loss that Celery on Redis cannot avoid (F2)."""
    with asking_again(arena.callers):
        for worker in arena.workers():
            os.kill(worker.pid, signal.SIGSTOP)
        attempts = arena.storm.prepare(20)
        arena.storm.post(attempts, rate=20)
        for _ in range(5):
            arena.callers.ask()
        arena.kill(arena.workers())
        found, seconds = arena.settle(90)
    told.tell("F2", "paused workers killed with messages on their way to them", found, seconds)
