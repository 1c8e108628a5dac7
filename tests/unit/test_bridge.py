"""The bridge by itself: what of a request reaches the WSGI application, and what does not."""

import asyncio
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from webhooks.bridge import Bridge, Message

SCOPE: Message = {
    "type": "http",
    "method": "POST",
    "path": "/",
    "query_string": b"",
    "http_version": "1.1",
    "client": ("192.0.2.1", 1),
    "headers": [],
}


def piece(body: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def call(scope: Message, *pieces: Message, longest: int = 4) -> tuple[list[WSGIEnvironment], list[Message]]:
    """What the application was called with, and what was sent."""
    called: list[WSGIEnvironment] = []
    sent: list[Message] = []
    coming = iter(pieces)

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        called.append({**environ, "body": environ["wsgi.input"].read()})
        start("200 OK", [])
        return [b""]

    async def receive() -> Message:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Bridge(app, longest)(scope, receive, send))  # type: ignore[arg-type]
    return called, sent


@pytest.mark.parametrize("pieces", [(b"1234", b"5"), (b"12345", b""), (b"1", b"2345", b"6")])
def test_of_a_body_that_is_too_long_enough_is_passed_on_to_see_that(pieces: tuple[bytes, ...]) -> None:
    (environ,), _ = call(SCOPE, *(piece(body, True) for body in pieces), piece(b"", False))
    assert len(environ["body"]) > 4
    assert environ["CONTENT_LENGTH"] == str(len(environ["body"]))


def test_a_header_that_comes_twice_is_passed_on_whole() -> None:
    """A proxy may add a line of its own instead of going on with the one that is there."""
    headers = [(b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-for", b"192.0.2.8")]
    (environ,), _ = call({**SCOPE, "headers": headers}, piece(b"", False))
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.7,192.0.2.8"


def test_whoever_ends_early_is_told_and_let_go() -> None:
    called, sent = call(SCOPE, piece(b"12", True), {"type": "http.disconnect"})
    assert called == []
    assert (sent[0]["status"], sent[0]["headers"]) == (400, [(b"connection", b"close")])


def test_what_is_no_request_is_left_unanswered() -> None:
    assert call({"type": "lifespan"}) == ([], [])
