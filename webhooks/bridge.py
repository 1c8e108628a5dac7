"""From the server's event loop to the Flask application: a body is read whole, then a view is called.

The server's own WSGI interface reads a body in one of a few threads, for as long as its sender likes,
and takes a chunked body that is cut short for a whole one (both measured: ops/bench/results). No view
waits for anything, so they are called where the bodies come in: a thread each would cost more than all
that they do. What is answered later is waited for here.
"""

import asyncio
import io
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Self
from wsgiref.types import WSGIApplication, WSGIEnvironment

from flask import Response

from mpesa_balance import logs
from webhooks import metrics
from webhooks.later import WAITING, Later

logger = logs.get_logger(__name__)

#: How long a sender may take for the whole of a body, in seconds. Real ones take milliseconds.
DEADLINE: Final = 10.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Answer(NamedTuple):
    """Status, headers and body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, response: Response) -> Self:
        """What Flask made."""
        return cls(response.status_code, _raw(response.headers), response.get_data())


@dataclass(frozen=True, slots=True)
class Bridge:
    """The ASGI application that answers with a WSGI one.

    Of a body, its first `longest` + 1 bytes are passed on, so that one that is too long is seen as such.
    A sender that is late gets a 408, and one that ends early a 400.
    """

    app: WSGIApplication
    longest: int

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request; the server's other messages need no answer."""
        if scope["type"] != "http":
            return
        try:
            async with asyncio.timeout(DEADLINE):
                body = await _received(receive, self.longest)
        except TimeoutError:
            _log_refusal(HTTPStatus.REQUEST_TIMEOUT, f"a body did not end within {DEADLINE} s")
            await _refuse(send, HTTPStatus.REQUEST_TIMEOUT)
            metrics.answered(scope["path"], HTTPStatus.REQUEST_TIMEOUT)
            return
        if body is None:
            _log_refusal(HTTPStatus.BAD_REQUEST, "a body ended before it was complete")
            await _refuse(send, HTTPStatus.BAD_REQUEST)
            metrics.answered(scope["path"], HTTPStatus.BAD_REQUEST)
            return
        began = time.monotonic()
        answer = await self._answer(_environ(scope, body))
        await _send(send, *answer)
        metrics.answered(scope["path"], answer.status, time.monotonic() - began)

    async def _answer(self, environ: WSGIEnvironment) -> Answer:
        waiting: list[Later] = []
        answer = call(self.app, {**environ, WAITING: waiting})
        for later in waiting:
            await _ended(later.done)
            answer = Answer.of(later.answer())
        return answer


async def _received(receive: Receive, longest: int) -> bytes | None:
    """The body, or a beginning that is too long already; None where its sender ended it early."""
    body = bytearray()
    while len(body) <= longest:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return bytes(body)


def _log_refusal(status: HTTPStatus, reason: str) -> None:
    logger.warning("http_request_refused", status=status.value, reason=reason)


async def _refuse(send: Send, status: HTTPStatus) -> None:
    await _send(send, status, [(b"connection", b"close")], b"")


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def call(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """What a WSGI application answers; nothing with status 0 where it is for later."""
    status, headers = "0", list[tuple[str, str]]()

    def start_response(
        begun: str, named: list[tuple[str, str]], _: object = None
    ) -> Callable[[bytes], object]:
        nonlocal status, headers
        status, headers = begun, named
        return body.append

    body: list[bytes] = []
    chunks = app(environ, start_response)
    try:
        body.extend(chunks)
    finally:
        getattr(chunks, "close", bool)()
    return Answer(int(status.split(" ", 1)[0]), _raw(headers), b"".join(body))


def _raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _ended(done: "Future[Any]") -> None:
    """Wait until another thread has ended it, with whatever outcome."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    done.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
    await ended.wait()


def _environ(scope: Message, body: bytes) -> dict[str, Any]:
    environ = _headers(scope["headers"])
    # Its length is now known, also of a body that came in chunks.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("HTTP_CONTENT_LENGTH", None)
    return {
        **environ,
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": environ.pop("HTTP_CONTENT_TYPE", ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    environ: dict[str, str] = {}
    for name, value in headers:
        # A name with an underscore could pass for one with a dash: X_Forwarded_For for a proxy's own.
        if b"_" not in name:
            key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
