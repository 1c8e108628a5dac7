"""Bad traffic: clients that drip, stall or stay silent, and how long a server bears each kind."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from ops.bench.wire import chunk, connect, head, post

#: The pause between two bytes of a slow client, in seconds.
PAUSE: Final = 0.5

#: A client that is not let in for this many seconds, because the backlog is full, gives up.
CONNECTING: Final = 2.0

#: What a client sends: at once, and then piece by piece for ever.
Script = tuple[bytes, Iterator[bytes]]


def headers() -> Script:
    """A head that never ends."""
    return b"POST / HTTP/1.1\r\nHost: localhost\r\nX: ", itertools.repeat(b"x")


def body() -> Script:
    """A body of an announced length that comes byte by byte."""
    return head("/", "Content-Length: 1500"), itertools.repeat(b"x", 1499)


def chunks() -> Script:
    """A body in chunks of one byte."""
    return head("/", "Transfer-Encoding: chunked"), itertools.repeat(chunk(b"x"))


def silence() -> Script:
    """Nothing at all."""
    return b"", iter(())


def idle() -> Script:
    """One good request, and nothing after it on its kept connection."""
    return post(), iter(())


#: What 200 slow clients do: half of them drip headers, the others drip bodies of both kinds.
CROWD: Final = tuple(kind for _ in range(50) for kind in (headers, body, headers, chunks))


async def seconds_borne(port: int, kind: Callable[[], Script], patience: float) -> float | None:
    """How long a server bears a client of this kind, or None if that is longer than `patience`."""
    began = time.monotonic()
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await _client(port, kind())
            return time.monotonic() - began
    return None


@asynccontextmanager
async def crowd(
    port: int, kinds: tuple[Callable[[], Script], ...], *, again: bool = False
) -> AsyncIterator[None]:
    """These clients, connected where the server lets them, for as long as this lasts.

    With `again` a client that was cut off comes again: they stay as many as they are.
    """
    connected: list[asyncio.Event] = []
    clients = []
    for kind in kinds:
        event = asyncio.Event()
        connected.append(event)
        coming = _returning(port, kind, event) if again else _client(port, kind(), event)
        clients.append(asyncio.create_task(coming))
    for event in connected:
        await event.wait()
    try:
        yield
    finally:
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _returning(port: int, kind: Callable[[], Script], connected: asyncio.Event) -> None:
    while True:
        await _client(port, kind(), connected)
        # One that is not let in does not ask without end.
        await asyncio.sleep(PAUSE)


async def _client(port: int, script: Script, connected: asyncio.Event | None = None) -> None:
    """Follow a script until the server closes the connection."""
    opening, pieces = script
    connected = connected or asyncio.Event()
    try:
        async with asyncio.timeout(CONNECTING):
            reader, writer = await connect(port)
    except (OSError, TimeoutError):
        connected.set()
        return
    try:
        writer.write(opening)
        connected.set()
        dripping = asyncio.create_task(_drip(writer, pieces))
        try:
            with suppress(OSError):
                while await reader.read(65536):
                    pass
        finally:
            dripping.cancel()
    finally:
        writer.close()


async def _drip(writer: asyncio.StreamWriter, pieces: Iterator[bytes]) -> None:
    with suppress(OSError):
        for piece in pieces:
            await asyncio.sleep(PAUSE)
            writer.write(piece)
            await writer.drain()
