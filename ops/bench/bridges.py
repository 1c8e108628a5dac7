"""Ways to serve a WSGI application from an event loop: the body is read whole, then a thread is used."""

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote
from wsgiref.types import WSGIApplication

from granian.rsgi import HTTPProtocol, ProtocolError, Scope  # type: ignore[attr-defined]
from werkzeug.test import run_wsgi_app

#: How long a sender may take for the whole of a body, in seconds.
DEADLINE: Final = 10.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]


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


@dataclass(frozen=True, slots=True)
class ThreadBridge:
    """The ASGI application that answers with a WSGI one, in a thread, for a body that WholeBody read."""

    app: WSGIApplication
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan messages of the server."""
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        environ = _environ(
            scope, scope["headers"], body, scope["client"][0], scope["query_string"].decode()
        )
        loop = asyncio.get_running_loop()
        status, headers, answer = await loop.run_in_executor(self.threads, _call, self.app, environ)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await _send(send, status, raw, answer)


@dataclass(frozen=True, slots=True)
class RsgiBridge:
    """The RSGI application that answers with a WSGI one; RSGI is granian's own interface."""

    app: WSGIApplication
    longest: int
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

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
        named = [(name.encode(), value.encode()) for name, value in scope.headers.items()]
        named = _framed(named, len(body))
        facts = {"method": scope.method, "path": unquote(scope.path), "http_version": scope.http_version}
        environ = _environ(facts, named, body, scope.client.rpartition(":")[0], scope.query_string)
        loop = asyncio.get_running_loop()
        status, headers, answer = await loop.run_in_executor(self.threads, _call, self.app, environ)
        protocol.response_bytes(status, headers, answer)


async def _received(receive: Receive, longest: int) -> bytes | None:
    body = b""
    while len(body) <= longest:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


def _framed(headers: RawHeaders, length: int) -> RawHeaders:
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


async def _send(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _call(app: WSGIApplication, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    chunks, status, headers = run_wsgi_app(app, environ, buffered=True)
    return int(status.split(" ", 1)[0]), list(headers), b"".join(chunks)


def _environ(facts: Message, headers: RawHeaders, body: bytes, client: str, query: str) -> dict[str, Any]:
    environ: dict[str, Any] = {}
    for name, value in headers:
        # A name with an underscore could pass for one with a dash: X_Forwarded_For for a proxy's own.
        if b"_" not in name:
            key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    return {
        "REQUEST_METHOD": facts["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": facts["path"].encode().decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": f"HTTP/{facts['http_version']}",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": client,
        "CONTENT_LENGTH": environ.pop("HTTP_CONTENT_LENGTH"),
        "CONTENT_TYPE": environ.pop("HTTP_CONTENT_TYPE", ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **environ,
    }
