"""A TCP proxy that misbehaves as networks do: it refuses, cuts, or goes on in silence."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from typing import Self

from ops.stack.ports import free_port


class Proxy:
    """Forwards to one port of this machine, as long as it is well."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._open: set[StreamWriter] = set()
        self._flows = asyncio.Event()
        self._refuses = False
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._ended = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._ended.set)
        self._thread.join()

    def heal(self) -> None:
        """Everything passes."""
        self._refuses = False
        self._do(self._flows.set)

    def fall_silent(self) -> None:
        """Half open: connections stay, new ones are taken, and no byte passes in either direction."""
        self._do(self._flows.clear)

    def refuse(self) -> None:
        """Every connection is reset, and every new one at once."""
        self._refuses = True
        self.cut()

    def cut(self) -> None:
        """Every connection is reset; new ones pass."""
        self._do(self._cut)

    def _do(self, act: "asyncio._CoroutineLike[None] | object") -> None:
        self._loop.call_soon_threadsafe(act)  # type: ignore[arg-type]

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self) -> None:
        self._flows.set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        await self._ended.wait()
        server.close()
        self._cut()

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, there[1]}
        await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
        self._open -= {writer, there[1]}

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort() if writer.transport.is_closing() else writer.close()
