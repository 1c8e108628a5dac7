"""What a candidate does rather than how fast: its answers to bad requests, its patience and its end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ops.bench import slow
from ops.bench.candidates import Candidate
from ops.bench.serving import Server, serving
from ops.bench.wire import chunk, chunked, connect, exchange, head, post, read_answer

#: How long the end of a slow client's connection is waited for, and the server's own, in seconds.
PATIENCE: Final = 32.0
STOP_PATIENCE: Final = 20.0

#: How many requests are being answered when the server is told to end.
IN_FLIGHT: Final = 8

#: How many clients drip bodies when one good request is tried: more than any candidate has threads.
DRIPPING: Final = 300

_TOO_LONG: Final = b"x" * 200_000

_KINDS: Final = (slow.headers, slow.body, slow.chunks, slow.silence, slow.idle)


@dataclass(frozen=True, slots=True)
class Stop:
    """A SIGTERM during requests: how many of IN_FLIGHT were answered, and when all was over."""

    answered: int
    seconds: float | None


@dataclass(slots=True)
class Conduct:
    """What was seen of one candidate. An answer of 0 is a connection that was closed without one."""

    announced: int = 0
    chunked: int = 0
    kept_alive: bool = False
    #: What the view took for whole of two bodies that ended early, announced and in chunks.
    cut_short: list[int] = field(default_factory=list)
    borne: dict[str, float | None] = field(default_factory=dict)
    among_dripping: int = 0
    stop: Stop | None = None
    stop_with_crowd: Stop | None = None


async def observe(candidate: Candidate) -> Conduct:
    """Everything about one candidate; it waits more than it computes, so many can be observed at once."""
    seen = Conduct()
    async with serving(candidate) as server:
        seen.announced = await _status(server, post("/", _TOO_LONG))
        seen.chunked = await _status(
            server, head("/", "Transfer-Encoding: chunked") + chunked(_TOO_LONG, 8000)
        )
        seen.kept_alive = await _is_kept_alive(server)
        await _send_cut_short(server)
        seen.borne = await _borne(server)
        seen.cut_short = server.kept()
        async with slow.crowd(server.port, (slow.body,) * DRIPPING):
            seen.among_dripping = await _status(server, post())
    seen.stop = await _stop(candidate, ())
    seen.stop_with_crowd = await _stop(candidate, slow.CROWD)
    return seen


async def _status(server: Server, request: bytes) -> int:
    with suppress(OSError, EOFError, TimeoutError):
        async with asyncio.timeout(5):
            return await exchange(server.port, request)
    return 0


async def _is_kept_alive(server: Server) -> bool:
    reader, writer = await connect(server.port)
    try:
        async with asyncio.timeout(5):
            for _ in range(3):
                writer.write(post())
                if await read_answer(reader) != (200, True):
                    return False
    except (OSError, EOFError, TimeoutError):
        return False
    finally:
        writer.close()
    return True


async def _send_cut_short(server: Server) -> None:
    for request in (
        head("/kept", "Content-Length: 500") + b"short",
        head("/kept", "Transfer-Encoding: chunked") + chunk(b"a chunk"),
    ):
        _, writer = await connect(server.port)
        writer.write(request)
        await writer.drain()
        writer.close()


async def _borne(server: Server) -> dict[str, float | None]:
    seconds = await asyncio.gather(*(slow.seconds_borne(server.port, kind, PATIENCE) for kind in _KINDS))
    return {kind.__name__: value for kind, value in zip(_KINDS, seconds, strict=True)}


async def _stop(candidate: Candidate, kinds: tuple[Callable[[], slow.Script], ...]) -> Stop:
    async with serving(candidate) as server, slow.crowd(server.port, kinds):
        asked = [asyncio.create_task(_status(server, post("/slow"))) for _ in range(IN_FLIGHT)]
        # Half of what the view takes: all requests have arrived, and none is answered.
        await asyncio.sleep(0.15)
        seconds = await server.seconds_to_stop(STOP_PATIENCE)
        statuses = await asyncio.gather(*asked)
        return Stop(statuses.count(200), seconds)
