"""Receivers of alerts for the tests: a mail server and a web server, both real, on loopback."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from flask import Flask, request
from werkzeug.serving import make_server

from ops.stack.ports import free_port
from tests.fakes import served


@dataclass
class WebReceiver:
    """Takes JSON over HTTP, and answers with `status`."""

    url: str = ""
    status: int = 200
    #: Everything that came, also what was not taken.
    asked: list[dict[str, Any]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)

    def take(self) -> tuple[str, int]:
        message = request.get_json()
        self.asked.append(message)
        if self.status == 200:
            self.taken.append(message)
        return "", self.status


@contextmanager
def web_receiver() -> Iterator[WebReceiver]:
    """A web server whose channel is json://127.0.0.1:port/hook-5ecret."""
    receiver = WebReceiver()
    app = Flask("receiver")
    app.add_url_rule("/hook-5ecret", "take", receiver.take, methods=["POST"])
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with served(server):
        receiver.url = f"json://127.0.0.1:{server.server_port}/hook-5ecret"
        yield receiver


class MailReceiver:
    """Takes mails for anybody."""

    def __init__(self, port: int) -> None:
        self.url = f"mailto://127.0.0.1:{port}/?from=alerts@example.co.ke&to=oncall@example.co.ke"
        self.taken: list[EmailMessage] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=port)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        found = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        self.taken.append(found)
        return "250 OK"

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    receiver = MailReceiver(free_port())
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


@contextmanager
def mute_receiver() -> Iterator[str]:
    """The channel of a server that accepts, and never says a word."""
    held: list[socket.socket] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"json://127.0.0.1:{server.getsockname()[1]}/hook-5ecret"
        for one in held:
            one.close()
