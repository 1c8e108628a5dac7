"""What was measured beside our own bridge: those of others with its care for bodies, and RSGI."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote
from wsgiref.types import WSGIApplication

from granian.rsgi import HTTPProtocol, ProtocolError, Scope  # type: ignore[attr-defined]

from webhooks.bridge import DEADLINE, Message, Receive, Send, _environ, _received, _send, call

#: So many views at once, where each has a thread.
THREADS: Final = 8

Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class WholeBody:
    """An ASGI layer: passes a request on once its body is here, or its first `longest` + 1 bytes are."""

    app: Asgi
    longest: int

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request; one whose sender leaves early is dropped, one that is late gets a 408."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(DEADLINE):
                body = await _received(receive, self.longest)
        except TimeoutError:
            await _send(send, HTTPStatus.REQUEST_TIMEOUT, [(b"connection", b"close")], b"")
            return
        if body is not None:
            framed = {**scope, "headers": _framed(scope["headers"], len(body))}
            await self.app(framed, _replay(body, receive), send)


def _framed(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    # Werkzeug takes a body without a length for an empty one, and so loses those that came in chunks.
    framing = (b"content-length", b"transfer-encoding")
    kept = [(name, value) for name, value in headers if name not in framing]
    return [*kept, (b"content-length", str(length).encode())]


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed


@dataclass(frozen=True, slots=True)
class ThreadBridge:
    """Our own bridge, as it was while views waited: a body is read whole, then a thread is used."""

    app: WSGIApplication
    longest: int
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        try:
            async with asyncio.timeout(DEADLINE):
                body = await _received(receive, self.longest)
        except TimeoutError:
            await _send(send, HTTPStatus.REQUEST_TIMEOUT, [(b"connection", b"close")], b"")
            return
        if body is None:
            await _send(send, HTTPStatus.BAD_REQUEST, [(b"connection", b"close")], b"")
            return
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self.threads, call, self.app, _environ(scope, body))
        await _send(send, *answer)


@dataclass(frozen=True, slots=True)
class RsgiBridge:
    """The RSGI application that answers with a WSGI one; RSGI is granian's own interface."""

    app: WSGIApplication
    longest: int
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS))

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Serve one request."""
        body = b""
        try:
            async with asyncio.timeout(DEADLINE):
                async for chunk in protocol:
                    body += chunk
                    if len(body) > self.longest:
                        break
        except (TimeoutError, ProtocolError):
            protocol.response_empty(HTTPStatus.REQUEST_TIMEOUT, [("connection", "close")])
            return
        facts = {
            "method": scope.method,
            "path": unquote(scope.path),
            "http_version": scope.http_version,
            "headers": [(name.encode(), value.encode()) for name, value in scope.headers.items()],
            "query_string": scope.query_string.encode(),
            "client": (scope.client.rpartition(":")[0],),
        }
        loop = asyncio.get_running_loop()
        status, headers, content = await loop.run_in_executor(
            self.threads, call, self.app, _environ(facts, body)
        )
        text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        protocol.response_bytes(status, text, content)
