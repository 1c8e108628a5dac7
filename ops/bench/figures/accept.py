"""Callbacks accepted per second on 64 connections, while nobody takes what is accepted any further."""

from collections.abc import Callable
from typing import Final

from ops.bench.callbacks import spooled
from ops.bench.driving import drive
from ops.bench.figures.figure import OURS, Figure, Goal, Reading, setting
from ops.bench.ours import KEYS, Ours
from ops.bench.peers import tables
from ops.bench.peers.commands import QUEUE, granian, uvicorn
from ops.bench.plans import Plan
from ops.bench.population import asked
from ops.bench.rounds import Round, new_round
from ops.stack.ports import free_port

#: Seconds of each round, and before them.
SECONDS: Final = setting("ACCEPT_SECONDS", 8)
WARM_UP: Final = setting("ACCEPT_WARM_UP", 1)

CONNECTIONS: Final = 64

_SEED: Final = 6

#: More than any of them answers in a second.
_MOST: Final = {"ours": 15_000, "inline": 5_000, "plain": 8_000, "constant": 5_000}


def ours() -> Reading:
    """Our webhook tier: on this disk before it answers. Its courier goes on publishing."""
    with new_round() as running:
        system = Ours(running)
        system.start_webhooks()
        found = drive(running, _plan(system.port, "ours", "ours", wraps=False))
        return _reading(found, len(spooled(system.spool)))


def plain() -> Reading:
    """The Flask view that queues each callback: in the memory of Redis before it answers."""
    with new_round() as running:
        port = free_port()
        _serve(running, granian(port, "plain"), port)
        found = drive(running, _plan(port, "peer", "plain", wraps=False))
        return _reading(found, int(running.stores.redis.llen(QUEUE)))


def inline() -> Reading:
    """The FastAPI endpoint that does everything: committed before it answers."""
    with new_round() as running:
        plan, port = _plan(0, "peer", "inline", wraps=False), free_port()
        with running.stores.connect() as connection:
            tables.create(connection, asked(plan.seed, plan.count, 1000))
        _serve(running, uvicorn(port), port)
        found = drive(running, _plan(port, "peer", "inline", wraps=False))
        return _reading(found, int(running.stores.one(tables.COUNT)))


def constant() -> Reading:
    """The Flask view that looks at nothing."""
    with new_round() as running:
        port = free_port()
        _serve(running, granian(port, "floor"), port)
        return Reading(drive(running, _plan(port, "peer", "constant", wraps=True)))


def _serve(running: Round, command: tuple[str, ...], port: int) -> None:
    made = running.stores
    settings = {
        "DATABASE_URL": made.database_url,
        "BROKER_URL": made.broker_url,
        "DARAJA_URL": "http://127.0.0.1:9",
        "CALLBACK_URL": f"http://127.0.0.1:{port}/callback",
    }
    running.start("server", command, settings)
    running.wait_for_page(port)


def _plan(port: int, recipe: str, system: str, *, wraps: bool) -> Plan:
    return Plan(
        port=port,
        recipe=recipe,
        seed=_SEED,
        count=int((SECONDS + WARM_UP) * _MOST[system]),
        connections=CONNECTIONS,
        seconds=SECONDS,
        warm_up=WARM_UP,
        wraps=wraps,
        callback_keys=KEYS["CALLBACK_KEYS"],
    )


def _reading(found: dict[str, float], kept: int) -> Reading:
    # What was in flight at the end may be kept without having been answered.
    return Reading({**found, "not kept": max(found["taken"] - kept, 0)})


_SYSTEMS: Final[dict[str, Callable[[], Reading]]] = {
    OURS: ours,
    "plain Celery": plain,
    "inline": inline,
    "Flask constant": constant,
}

FIGURE: Final = Figure(
    name="accept",
    title="Callbacks accepted per second",
    note=(
        f"Closed loops on {CONNECTIONS} connections for {SECONDS:g} s after {WARM_UP:g} s of warm-up, each "
        "callback with its own token (ours) and its own conversation ids, 1.1 KiB long. No worker runs, "
        "neither for us nor for plain Celery. Ours is on the disk (fsync) before the 200, and its courier "
        "goes on publishing; plain Celery is in Redis's memory (appendfsync everysec); inline is committed "
        "in Postgres and needs nothing more. 'Not kept' is what was answered with 200 and not found "
        "afterwards in the spool, the queue or the table."
    ),
    systems=_SYSTEMS,
    sizes=("ACCEPT_SECONDS", "ACCEPT_WARM_UP"),
    shown=("rate", "p50 ms", "p99 ms", "CPU ms", "CPU ms, load", "refused", "lost", "not kept"),
    goals=(
        Goal(number="rate", against="plain Celery", at_least=3),
        Goal(number="rate", against="inline", at_least=2.5),
        Goal(number="rate", against="Flask constant", at_least=0.5),
        Goal(number="not kept", at_most=0),
    ),
)
