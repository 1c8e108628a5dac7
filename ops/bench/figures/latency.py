"""How long one callback takes, and one query, while the system has little to do."""

import statistics
import time
from typing import Final
from uuid import uuid4

from celery import Celery

from mpesa_balance.contract import REQUEST_BALANCE, REQUESTS_QUEUE
from ops.bench.driving import Driver
from ops.bench.figures.figure import OURS, Figure, Goal, Line, Reading, setting
from ops.bench.figures.queries import DELAY, Double
from ops.bench.ours import KEYS, Ours
from ops.bench.plans import Plan
from ops.bench.population import asked, shortcode
from ops.bench.rounds import Round, new_round, patiently

COUNT: Final = int(setting("LATENCY", 600))

#: Callbacks in a second.
RATE: Final = 20

#: Whole queries after that, one after the other.
QUERIES: Final = 10

_SEED: Final = 9
_SHORTCODES: Final = 100
_PATIENCE: Final = 60.0

#: An event is written once, in the transaction of its move, and never changed.
_COMMITTED: Final = """
    SELECT attempt_id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float
    FROM query_events WHERE state = 'completed'
"""
_COMMITTED_ONE: Final = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(e.xmin))::float
    FROM balance_requests r JOIN query_events e USING (query_id)
    WHERE r.id = %s AND e.state = 'completed'
"""


def ours() -> Reading:
    """The whole system."""
    with new_round(commit_times=True) as running:
        double = Double.start(running)
        system = Ours(running, double.url)
        system.register(_SHORTCODES + QUERIES)
        system.fill(asked(_SEED, COUNT, _SHORTCODES))
        system.start()
        outcome = Driver(running, _plan(system.port)).run()
        patiently(lambda: system.completed() >= COUNT, 0.1, _PATIENCE)
        completed = _until_committed(running, outcome.sent_at)
        whole = [_whole_query(running, shortcode(_SHORTCODES + number)) for number in range(QUERIES)]
        return _reading(sorted(outcome.latencies), completed, whole)


def _reading(accepted: list[float], completed: list[float], whole: list[float]) -> Reading:
    numbers = {
        "accept p50 ms": _quantile(accepted, 0.5),
        "accept p99 ms": _quantile(accepted, 0.99),
        "completed p50 ms": _quantile(completed, 0.5),
        "completed p99 ms": _quantile(completed, 0.99),
        "whole query p50 ms": statistics.median(whole) * 1000,
        "whole query longest ms": max(whole) * 1000,
        "not completed": COUNT - len(completed),
    }
    lines = {"accepted": _distribution(accepted), "accepted and completed": _distribution(completed)}
    return Reading(numbers, lines)


def _plan(port: int) -> Plan:
    return Plan(
        port=port,
        recipe="ours",
        seed=_SEED,
        count=COUNT,
        connections=8,
        rate=RATE,
        stamps=True,
        callback_keys=KEYS["CALLBACK_KEYS"],
    )


def _until_committed(running: Round, sent_at: list[float]) -> list[float]:
    """From sending each callback until its move was committed, in seconds, in order of length."""
    attempts = {one.attempt_id: at for one, at in zip(asked(_SEED, COUNT, 1), sent_at, strict=False)}
    rows = running.stores.watching.execute(_COMMITTED).fetchall()
    return sorted(committed - attempts[attempt] for attempt, committed in rows)


def _whole_query(running: Round, of: str) -> float:
    """From asking by task name until the move is committed, in seconds, without Daraja's own time."""
    request_id, began = str(uuid4()), time.time()
    with Celery(broker=running.stores.broker_url, set_as_current=False) as app:
        app.send_task(REQUEST_BALANCE, kwargs={"shortcode": of}, queue=REQUESTS_QUEUE, task_id=request_id)

    def committed() -> bool:
        return running.stores.watching.execute(_COMMITTED_ONE, (request_id,)).fetchone() is not None

    patiently(committed, 0.02, _PATIENCE)
    row = running.stores.watching.execute(_COMMITTED_ONE, (request_id,)).fetchone()
    return float(row[0] - began - DELAY) if row else float("nan")


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[int(share * len(ordered))] * 1000 if ordered else float("nan")


def _distribution(ordered: list[float]) -> Line:
    """What share of them took so many milliseconds at most; a hundred points and the longest."""
    points = [number / 100 for number in range(1, 100)]
    return [*((_quantile(ordered, share), share) for share in points), (_quantile(ordered, 0.999), 1.0)]


FIGURE: Final = Figure(
    name="latency",
    title="Latency of an idle system",
    note=(
        f"{COUNT:,} callbacks, {RATE} a second, while the whole system has nothing else to do; then "
        f"{QUERIES} whole queries one after the other. Accept: from sending until the 200. Completed: from "
        "sending until the commit of the query's move (pg_xact_commit_timestamp, which is taken as the "
        "commit begins to be written). Whole query: from `send_task` until that commit, less the "
        f"{DELAY:g} s that the stand-in for Daraja waits. One clock, of one machine."
    ),
    systems={OURS: ours},
    shown=(
        *("accept p50 ms", "accept p99 ms", "completed p50 ms", "completed p99 ms"),
        *("whole query p50 ms", "whole query longest ms", "not completed"),
    ),
    axes=("milliseconds", "share"),
    sizes=("LATENCY", "DARAJA_DELAY"),
    goals=(
        Goal(number="accept p50 ms", at_most=3),
        Goal(number="accept p99 ms", at_most=15),
        Goal(number="completed p50 ms", at_most=15),
        Goal(number="completed p99 ms", at_most=50),
    ),
)
