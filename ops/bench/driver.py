"""The load generator, in a process of its own: `python -m ops.bench.driver` reads a plan and drives it.

It shares the cores with what it measures, so it does little: uvloop, a bare protocol, requests that were
made before. The plan is a line of JSON on standard input; "go" is the next one. It answers with one
line each: ready, begun, ended, and the outcome as JSON.
"""

import asyncio
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import uvloop

from ops.bench.connections import Connection
from ops.bench.plans import Outcome, Plan
from ops.bench.recipes import RECIPES, Pieces

#: How long answers are waited for: the first ones of closed loops, the last ones of an open one. Seconds.
_PATIENCE: Final = 10.0

#: How often an open loop looks what is due, in seconds.
_BEAT: Final = 0.001


class Load:
    """The requests of one plan on their connections, and what has come of them so far."""

    def __init__(self, plan: Plan, requests: list[Pieces]) -> None:
        self.plan = plan
        self.outcome = Outcome()
        self.latencies: list[float] = []
        self.over = asyncio.Event()
        #: Connections that wait for something to ask, and what waits for a connection.
        self.idle: list[Connection] = []
        self.waiting: deque[float] = deque()
        self.is_open = plan.rate > 0
        self._requests = requests
        self._next = self._in_order()
        #: How many requests have come to an end, also without an answer.
        self.settled = 0

    def ask(self, connection: Connection, since: float) -> None:
        """Send the next request, which was due at `since`."""
        if self.plan.stamps:
            self.outcome.sent_at.append(time.time())
        pieces = next(self._next, None)
        if pieces is None:
            if not self.plan.wraps and self.plan.seconds:
                sys.exit("the load has used up its requests: give its plan a higher count")
            return
        connection.send(b"".join(pieces), since)

    def settle(self, connection: Connection, status: bytes, since: float) -> None:
        """An answer has come."""
        is_good = status == b"200"
        self.outcome.taken += is_good
        self.outcome.answered += is_good
        self.outcome.refused += not is_good
        self.latencies.append(time.perf_counter() - since)
        self.settled += 1
        if not self.plan.seconds and self.settled >= self.plan.count:
            self.over.set()
        if self.over.is_set():
            return
        if not self.is_open:
            self.ask(connection, time.perf_counter())
        elif self.waiting:
            self.ask(connection, self.waiting.popleft())
        else:
            self.idle.append(connection)

    def drop(self, connection: Connection, unanswered: bytes | None) -> None:
        """A connection has ended, perhaps without an answer."""
        if connection in self.idle:
            self.idle.remove(connection)
        if not self.over.is_set() and unanswered is not None:
            self.outcome.lost += 1
            self.settled += 1

    def begin_anew(self) -> None:
        """Forget what has come so far."""
        self.outcome = Outcome(taken=self.outcome.taken)
        self.latencies.clear()

    def _in_order(self) -> Iterator[Pieces]:
        yield from self._requests
        while self.plan.wraps:
            yield from self._requests


async def drive(plan: Plan) -> Outcome:
    """Make the requests, connect, wait for the word, and ask."""
    load = Load(plan, RECIPES[plan.recipe](plan.seed, plan.count, plan.callback_keys))
    # A collection would stall it for as long as it takes to look at all requests.
    gc.freeze()
    gc.disable()
    loop = asyncio.get_running_loop()
    connected = [
        (await loop.create_connection(lambda: Connection(load), "127.0.0.1", plan.port))[1]
        for _ in range(plan.connections)
    ]
    _tell("ready")
    sys.stdin.readline()
    await (_open(load, connected) if load.is_open else _closed(load, connected))
    return load.outcome


async def _closed(load: Load, connected: list[Connection]) -> None:
    plan = load.plan
    if plan.warm_up:
        _start(load, connected)
        await asyncio.sleep(plan.warm_up)
        # What is done once in each process may take longer on a machine that is busy.
        ends = time.monotonic() + _PATIENCE
        while load.settled < plan.connections and time.monotonic() < ends:
            await asyncio.sleep(_BEAT)
        load.begin_anew()
    began, used = _begun()
    if not plan.warm_up:
        _start(load, connected)
    if plan.seconds:
        await asyncio.sleep(plan.seconds)
        load.over.set()
    else:
        await load.over.wait()
    _ended(load, began, used)


def _start(load: Load, connected: list[Connection]) -> None:
    for connection in connected:
        load.ask(connection, time.perf_counter())


async def _open(load: Load, connected: list[Connection]) -> None:
    plan = load.plan
    load.idle.extend(connected)
    began, used = _begun()
    number = 0
    while number < plan.count:
        now = time.perf_counter()
        while number < plan.count and began + number / plan.rate <= now:
            # From the moment that was planned on: a late start would hide a stall.
            load.waiting.append(began + number / plan.rate)
            number += 1
        while load.idle and load.waiting:
            load.ask(load.idle.pop(), load.waiting.popleft())
        await asyncio.sleep(_BEAT)
    try:
        await asyncio.wait_for(load.over.wait(), _PATIENCE)
    except TimeoutError:
        load.outcome.lost = plan.count - load.outcome.answered - load.outcome.refused
        load.over.set()
    _ended(load, began, used)


def _begun() -> tuple[float, float]:
    _tell("begun")
    return time.perf_counter(), time.process_time()


def _ended(load: Load, began: float, used: float) -> None:
    outcome = load.outcome
    outcome.elapsed = time.perf_counter() - began
    outcome.cpu = time.process_time() - used
    _tell("ended")
    ordered = sorted(load.latencies) or [float("nan")]
    outcome.p50, outcome.p99 = (ordered[int(share * len(ordered))] for share in (0.5, 0.99))
    outcome.longest = ordered[-1]
    if load.plan.stamps:
        outcome.latencies = ordered


def _tell(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    """Drive one plan."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    _tell(json.dumps(asdict(uvloop.run(drive(plan)))))


if __name__ == "__main__":
    main()
