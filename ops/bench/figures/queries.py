"""Whole queries: from being asked until the balance is committed, answered by one stand-in for Daraja."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import requests

from ops.bench import queues
from ops.bench.accounting import cpu_seconds
from ops.bench.driving import Driver
from ops.bench.figures.figure import OURS, Figure, Goal, Reading, setting
from ops.bench.ours import Ours
from ops.bench.peers import tables
from ops.bench.peers.commands import uvicorn
from ops.bench.plans import Plan
from ops.bench.population import Asked, asked
from ops.bench.rounds import Round, new_round, patiently
from ops.bench.stores import hold, release
from ops.stack.ports import free_port

COUNT: Final = int(setting("QUERIES", 5000))

#: So many are asked before: what is done once in each process is no part of the cost of a query.
WARM_UP: Final = max(COUNT // 10, 50)

#: How many HTTP clients ask the inline peer at once.
CONNECTIONS: Final = int(setting("QUERIES_CONNECTIONS", 32))

#: From a query to its result, in seconds.
DELAY: Final = setting("DARAJA_DELAY", 0.2)

_SEED: Final = 8

#: How often it is asked whether all is done, in seconds; and how long it may take.
_BEAT: Final = 0.2
_PATIENCE: Final = 600.0


@dataclass(frozen=True, slots=True)
class Double:
    """The stand-in for Daraja, which is no part of any system."""

    pid: int
    url: str

    @classmethod
    def start(cls, running: Round, delay: float = DELAY) -> "Double":
        """Start one, ready."""
        port = free_port()
        command = (sys.executable, "-m", "ops.bench.double", "--port", str(port), "--delay", str(delay))
        pid = running.start("double", command, {}, counts=False)
        running.wait_for_page(port, "/counts")
        return cls(pid, f"http://127.0.0.1:{port}")

    def counts(self) -> dict[str, int]:
        """What it has taken and delivered so far."""
        found: dict[str, int] = requests.get(f"{self.url}/counts", timeout=5).json()
        return found


def ours() -> Reading:
    """Asked by task name; the whole system but beat and Flower, which have no part in it."""
    with new_round() as running:
        double = Double.start(running)
        system = Ours(running, double.url)
        system.register(COUNT + WARM_UP)
        queue = queues.requests(running.stores, islice(everybody(), WARM_UP, None))
        hold(running.stores.redis, queue)
        system.start()
        queues.requests(running.stores, islice(everybody(), WARM_UP))
        patiently(lambda: system.completed() >= WARM_UP, _BEAT, _PATIENCE)
        before, cpu, began = running.usage(), cpu_seconds([double.pid]), time.time()
        release(running.stores.redis, queue)
        patiently(lambda: system.completed() >= COUNT + WARM_UP, _BEAT, _PATIENCE)
        used, spent = running.usage().since(before), cpu_seconds([double.pid]) - cpu
        numbers = _numbers(system.completed() - WARM_UP, system.last_completed_at() - began, double, spent)
        return Reading({**numbers, **used.numbers(COUNT)})


def inline() -> Reading:
    """Asked over HTTP, and answered once Daraja has taken the query."""
    with new_round() as running:
        double, port = Double.start(running), free_port()
        with running.stores.connect() as connection:
            tables.create(connection)
        settings = {
            "DATABASE_URL": running.stores.database_url,
            "DARAJA_URL": double.url,
            "CALLBACK_URL": f"http://127.0.0.1:{port}/callback",
        }
        running.start("server", uvicorn(port), settings)
        running.wait_for_page(port)
        Driver(running, _plan(port, WARM_UP)).run()
        driver = Driver(running, _plan(port, COUNT))
        before, cpu, began = running.usage(), cpu_seconds([double.pid]), time.time()
        driver.begin()
        driver.end()
        patiently(lambda: _recorded(running) >= COUNT + WARM_UP, _BEAT, _PATIENCE)
        used, spent = running.usage().since(before), cpu_seconds([double.pid]) - cpu
        took = float(running.stores.one(tables.LAST)) - began
        load = driver.outcome().cpu * 1000 / COUNT
        numbers = _numbers(_recorded(running) - WARM_UP, took, double, spent)
        return Reading({**numbers, "CPU ms, load": load, **used.numbers(COUNT)})


def everybody() -> Iterator[Asked]:
    """Those of the warm-up first, then those that count, each of a shortcode of its own."""
    return asked(_SEED, WARM_UP + COUNT, WARM_UP + COUNT)


def _plan(port: int, count: int) -> Plan:
    return Plan(port=port, recipe="balance", seed=_SEED, count=count, connections=CONNECTIONS)


def _recorded(running: Round) -> int:
    return int(running.stores.one(tables.COUNT))


def _numbers(recorded: int, took: float, double: Double, spent: float) -> dict[str, float]:
    counts = double.counts()
    return {
        "rate": recorded / took,
        "seconds": took,
        "not completed": COUNT - recorded,
        "refused": counts["refused"],
        "asked": counts["asked"],
        "CPU ms, double": spent * 1000 / COUNT,
    }


_SYSTEMS: Final[dict[str, Callable[[], Reading]]] = {OURS: ours, "inline": inline}

FIGURE: Final = Figure(
    name="queries",
    title="Whole queries per second, and what each costs",
    note=(
        f"{COUNT:,} queries after {WARM_UP:,} of warm-up, each of a shortcode of its own, from being asked "
        "until the last balance is committed. The stand-in for Daraja takes each at once and posts its "
        f"result {DELAY:g} s later; one that is refused comes again, as long after. Ours: `send_task` by "
        "name, published before and let go all at once; the webhook tier (2 processes), the worker for "
        "callbacks and requests (2) and the one for submissions (4). Inline: POST /balance on "
        f"{CONNECTIONS} connections. CPU is that of a query, Postgres and Redis included."
    ),
    systems=_SYSTEMS,
    shown=("rate", "CPU ms", "seconds", "not completed", "refused", "CPU ms, double", "CPU ms, load"),
    sizes=("QUERIES", "QUERIES_CONNECTIONS", "DARAJA_DELAY"),
    goals=(
        Goal(number="rate", against="inline", at_least=1),
        Goal(number="CPU ms", against="inline", at_most=1),
        Goal(number="not completed", at_most=0),
    ),
)
