"""Somebody who asks the simulator over HTTP, and hears at two addresses what it calls back with."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from flask import Flask, Response, request
from werkzeug.serving import make_server

from mpesa_balance.apps import App
from ops.simulator.server import SimulatorSettings, create_server
from tests.conftest import entry_of
from tests.fakes import served
from tests.waiting import eventually
from worker.credentials import security_credential
from worker.daraja import Daraja

#: The part of a callback address that nobody else may learn.
TOKEN = "c0ffee"


@dataclass(frozen=True)
class Heard:
    """One callback as it came."""

    kind: str
    payload: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.payload)


@dataclass
class Desk:
    """Asks, and remembers what it heard in the order in which it came."""

    url: str
    callback_url: str = ""
    heard: list[Heard] = field(default_factory=list)
    #: What callbacks are answered with.
    status: int = 200
    #: Set while callbacks may be answered.
    answering: threading.Event = field(default_factory=threading.Event)
    certificate: bytes = b""
    #: What was put, and must be undone.
    turned: set[str] = field(default_factory=set)

    def app(self) -> App:
        self.certificate = self.certificate or self.get("certificate").content
        return App(
            name="simulator",
            environment="sandbox",
            base_url=self.url,
            certificate=self.certificate,
            consumer_key="simulator-key",
            consumer_secret="simulator-secret",
        )

    def body(self, password: str = "Simulated1!", **changes: str) -> dict[str, str]:
        entry = entry_of(app="simulator", password=password)
        return {
            "Initiator": "testapi",
            "SecurityCredential": security_credential(entry, self.app()),
            "CommandID": "AccountBalance",
            "PartyA": "600000",
            "IdentifierType": "4",
            "Remarks": "ok",
            "QueueTimeOutURL": f"{self.callback_url}/{TOKEN}/timeout",
            "ResultURL": f"{self.callback_url}/{TOKEN}/result",
        } | changes

    def token(self) -> str:
        return Daraja(5).mint(self.app()).value

    def post(self, body: Any, token: str | None = None) -> requests.Response:
        return requests.post(
            f"{self.url}/mpesa/accountbalance/v1/query",
            json=body,
            headers={"Authorization": f"Bearer {token or self.token()}"},
            timeout=5,
        )

    def ask(self, shortcode: str) -> requests.Response:
        """A query with nothing wrong about it."""
        return self.post(self.body(PartyA=shortcode))

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}/simulator/{path}", timeout=5)

    def put(self, path: str, document: Any) -> requests.Response:
        self.turned.add(path)
        return requests.put(f"{self.url}/simulator/{path}", json=document, timeout=5)

    def trigger(self, path: str) -> requests.Response:
        return requests.post(f"{self.url}/simulator/{path}", timeout=5)

    def delete(self, path: str) -> requests.Response:
        return requests.delete(f"{self.url}/simulator/{path}", timeout=5)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """What the ledger says of one kind, once nothing is on its way any more."""
        self.settled()
        return [entry for entry in self.get("ledger").json()["entries"] if entry["kind"] == kind]

    def settled(self) -> list[Heard]:
        """What was heard, once nothing is on its way any more."""
        eventually(lambda: self.get("ledger/summary").json()["callbacks"]["pending"] == 0)
        return self.heard

    def result(self) -> dict[str, Any]:
        """The result that comes next."""
        heard = eventually(lambda: self.heard and self.heard.pop(0))
        result: dict[str, Any] = heard.document["Result"]
        return result

    def begin_anew(self) -> None:
        """Undo what a test has turned."""
        self.settled()
        for path in ("scenarios", "ledger"):
            self.delete(path)
        if self.turned & {"limits", "maintenance"}:
            self.put("limits", {"per_second": None, "quota": None})
            self.put("maintenance", {"seconds": 0})
        self.turned.clear()
        self.heard.clear()
        self.status = 200

    def hear(self, kind: str) -> Response:
        self.heard.append(Heard(kind, request.get_data()))
        self.answering.wait(5)
        return Response(status=self.status)


@contextmanager
def desk_for(settings: SimulatorSettings) -> Iterator[Desk]:
    """A desk in front of a simulator of its own."""
    wsgi = Flask("desk")
    with served(create_server(settings)) as simulator:
        desk = Desk(f"http://127.0.0.1:{simulator.port}")
        desk.answering.set()
        wsgi.add_url_rule(f"/{TOKEN}/<kind>", "hear", desk.hear, methods=["POST"])
        with served(make_server("127.0.0.1", 0, wsgi, threaded=True)) as listener:
            desk.callback_url = f"http://127.0.0.1:{listener.port}"
            yield desk
