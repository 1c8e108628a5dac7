"""Good traffic: what arrives at a steady rate, and what comes as fast as it is answered."""

import asyncio
import itertools
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Final, cast

from ops.bench.wire import answer_length, connect, post, read_answer

#: Good requests in a second.
RATE: Final = 100

#: After this many seconds without an answer a good request has failed.
PATIENCE: Final = 5.0

#: What is asked, one request after the other; the same one where nothing else is said.
Requests = Iterator[bytes]

Connection = tuple[StreamReader, StreamWriter]


@dataclass(slots=True)
class Latencies:
    """How long good requests took, in seconds, and how many got no good answer."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def __add__(self, other: "Latencies") -> "Latencies":
        return Latencies(self.seconds + other.seconds, self.failed + other.failed)

    def quantile(self, share: float) -> float:
        """The latency that this share of the answered requests did not exceed; nan without any."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    def over(self, limit: float) -> int:
        """How many requests were slower than this, or failed."""
        return self.failed + sum(1 for one in self.seconds if one > limit)


async def steady(port: int, seconds: float, requests: Requests | None = None) -> Latencies:
    """Requests at RATE; every other one on a new connection, the others on kept ones."""
    requests = requests or itertools.repeat(post())
    latencies = Latencies()
    kept: list[Connection] = []
    began = time.monotonic()
    running = []
    for number in range(int(seconds * RATE)):
        planned = began + number / RATE
        await asyncio.sleep(planned - time.monotonic())
        # From the planned moment on: a late start would hide a stall.
        asking = _one(port, kept, number % 2 == 0, next(requests))
        running.append(asyncio.create_task(_timed(asking, planned, latencies)))
    await asyncio.gather(*running)
    for _, writer in kept:
        writer.close()
    return latencies


async def _timed(asking: Coroutine[None, None, int], planned: float, latencies: Latencies) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            status = await asking
    except (OSError, EOFError, TimeoutError):
        status = 0
    if status == 200:
        latencies.seconds.append(time.monotonic() - planned)
    else:
        latencies.failed += 1


async def _one(port: int, kept: list[Connection], fresh: bool, request: bytes) -> int:
    while kept and kept[-1][0].at_eof():
        kept.pop()[1].close()
    reader, writer = kept.pop() if kept and not fresh else await connect(port)
    reusable = False
    try:
        writer.write(request)
        status, reusable = await read_answer(reader)
    finally:
        if fresh or not reusable:
            writer.close()
        else:
            kept.append((reader, writer))
    return status


class _Closed(asyncio.Protocol):
    """A connection that asks again as soon as it was answered."""

    def __init__(self, tally: "Tally", requests: Requests) -> None:
        self._tally = tally
        self._requests = requests
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        length = answer_length(self._received)
        if length is None or len(self._received) < length or self._transport is None:
            return
        self._tally.answered += self._received[9:12] == b"200"
        self._received = b""
        if not self._tally.over:
            self._transport.write(next(self._requests))

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.lost += not self._tally.over


@dataclass(slots=True)
class Tally:
    """What closed loops have had so far."""

    answered: int = 0
    lost: int = 0
    over: bool = False


async def closed_loops(
    port: int, connections: int, seconds: float, requests: Requests | None = None
) -> Tally:
    """As many requests as are answered on this many connections."""
    tally, asked = Tally(), requests or itertools.repeat(post())
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: _Closed(tally, asked), "127.0.0.1", port))[0]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    tally.over = True
    for transport in opened:
        transport.close()
    return tally
