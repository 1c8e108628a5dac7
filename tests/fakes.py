"""Daraja as the tests need it: over HTTP, answering with whatever bytes a test has prepared."""

import json
import socket
import socketserver
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from flask import Flask, Response, request
from werkzeug.serving import WSGIRequestHandler, make_server


@dataclass
class Reply:
    """One HTTP answer, byte for byte."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


def json_reply(document: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(document).encode())


@dataclass
class Script:
    """How one shortcode is served: an answer for each submission, then what is sent back, by kind."""

    replies: deque[Reply] = field(default_factory=deque)
    callbacks: tuple[tuple[str, bytes], ...] = ()


class FakeDaraja:
    """Takes what comes, remembers it, and answers as it was told; accepts where it was told nothing."""

    def __init__(self) -> None:
        self.queries: list[dict[str, Any]] = []
        self.tokens_used: list[str] = []
        self.minted = 0
        self.replies: deque[Reply] = deque()
        self.token_replies: deque[Reply] = deque()
        self.token_seconds: Any = "3599"
        #: Sent to the ResultURL, in the order of the queries, before the query is answered.
        self.results_before_ack: deque[bytes] = deque()
        #: Sent to the ResultURL after the query was answered.
        self.results: deque[bytes] = deque()
        #: Tokens that are good for nothing any more.
        self.revoked: set[str] = set()
        #: By shortcode, and of tokens by consumer key.
        self.scripts: dict[str, Script] = {}
        self.token_scripts: dict[str, Reply] = {}
        self.url = ""
        #: Called with every query, before it is answered.
        self.when_asked: Callable[[], object] = lambda: None

    def mint(self) -> Response:
        self.minted += 1
        key = request.authorization.username if request.authorization else ""
        if key in self.token_scripts:
            return _response(self.token_scripts[key])
        if self.token_replies:
            return _response(self.token_replies.popleft())
        token = {"access_token": f"token-{self.minted}", "expires_in": self.token_seconds}
        return _response(json_reply(token))

    def query(self) -> Response:
        body = request.get_json()
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.when_asked()
        self.queries.append(body)
        self.tokens_used.append(token)
        if token in self.revoked:
            return _response(json_reply({"errorCode": "404.001.03", "errorMessage": "Invalid"}, 404))
        if script := self.scripts.get(body.get("PartyA", "")):
            return self._scripted(script, body)
        if self.results_before_ack:
            deliver(body["ResultURL"], self.results_before_ack.popleft())
        if self.results:
            later = (body["ResultURL"], self.results.popleft())
            threading.Timer(0.3, deliver, later).start()
        return _response(self.replies.popleft() if self.replies else json_reply(self.acceptance()))

    def _scripted(self, script: Script, body: dict[str, Any]) -> Response:
        urls = {"result": body["ResultURL"], "timeout": body["QueueTimeOutURL"]}
        if not script.replies or len(script.replies) == 1:
            for kind, payload in script.callbacks:
                threading.Timer(0.1, deliver, (urls[kind], payload)).start()
        return _response(script.replies.popleft() if script.replies else json_reply(self.acceptance()))

    def acceptance(self) -> dict[str, str]:
        number = len(self.queries)
        return {
            "OriginatorConversationID": f"1000-{number}-1",
            "ConversationID": f"AG_20261122_{number:020d}",
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }


def deliver(url: str, payload: bytes) -> requests.Response:
    """POST a callback as Daraja does."""
    return requests.post(url, data=payload, headers={"Content-Type": "application/json"}, timeout=10)


@contextmanager
def fake_daraja() -> Iterator[FakeDaraja]:
    fake = FakeDaraja()
    app = Flask("fake-daraja")
    app.add_url_rule("/oauth/v1/generate", "mint", fake.mint)
    app.add_url_rule("/mpesa/accountbalance/v1/query", "query", fake.query, methods=["POST"])
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    with served(server):
        fake.url = f"http://127.0.0.1:{server.server_port}"
        yield fake


@contextmanager
def served(server: Any) -> Iterator[Any]:
    """A server that serves for as long as this lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Dripping(socketserver.BaseRequestHandler):
    """Reads a request and then sends pieces of an answer, a pause before each."""

    pieces: tuple[bytes, ...]
    pause: float
    over: threading.Event

    def handle(self) -> None:
        self.request.recv(65536)
        for piece in self.pieces:
            # The pause is what the tests are about: a server that is slow on purpose.
            if self.over.wait(self.pause):
                return
            try:
                self.request.sendall(piece)
            except OSError:
                return


@contextmanager
def raw_server(*pieces: bytes, pause: float = 0.0) -> Iterator[str]:
    """A server whose answer is these bytes, in these pieces, and then the end of the connection."""
    over = threading.Event()
    handler = type("Handler", (_Dripping,), {"pieces": pieces, "pause": pause, "over": over})
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    with served(server):
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            over.set()


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def _response(reply: Reply) -> Response:
    return Response(reply.body, status=reply.status, headers=reply.headers)


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        pass
