"""The simulator answers as Daraja does: tokens, validation in its words, and results by callback."""

import base64
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

import pytest
import requests
from flask import Flask, request
from werkzeug.serving import make_server

from mpesa_balance.apps import App
from mpesa_balance.balances import parse_balance
from mpesa_balance.results import read_result
from mpesa_balance.shortcodes import PASSWORD, Shortcode
from ops.simulator.bank import Bank
from ops.simulator.server import SimulatorSettings, create_server
from tests.fakes import served
from worker.credentials import security_credential
from worker.daraja import Daraja


@dataclass
class Desk:
    """Somebody who asks the simulator, and hears what it calls back with."""

    url: str
    callback_url: str
    heard: "Queue[bytes]" = field(default_factory=Queue)

    def app(self) -> App:
        certificate = requests.get(f"{self.url}/simulator/certificate", timeout=5).content
        return App(
            name="simulator",
            environment="sandbox",
            base_url=self.url,
            certificate=certificate,
            consumer_key="simulator-key",
            consumer_secret="simulator-secret",
        )

    def body(self, password: str = "Simulated1!", **changes: str) -> dict[str, str]:
        entry = Shortcode(
            shortcode="600000",
            app="simulator",
            identifier_type=4,
            initiator="testapi",
            credential_kind=PASSWORD,
            credential=password,
        )
        return {
            "Initiator": "testapi",
            "SecurityCredential": security_credential(entry, self.app()),
            "CommandID": "AccountBalance",
            "PartyA": "600000",
            "IdentifierType": "4",
            "Remarks": "ok",
            "QueueTimeOutURL": self.callback_url,
            "ResultURL": self.callback_url,
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


@pytest.fixture
def desk() -> Iterator[Desk]:
    heard: Queue[bytes] = Queue()
    wsgi = Flask("desk")

    @wsgi.post("/result")
    def result() -> dict[str, int]:
        heard.put(request.get_data())
        return {"ResultCode": 0}

    settings = SimulatorSettings(port=0, callback_delay=0, token_seconds=2)
    with (
        served(create_server(settings)) as simulator,
        served(make_server("127.0.0.1", 0, wsgi, threaded=True)) as listener,
    ):
        callback_url = f"http://127.0.0.1:{listener.port}/result"
        yield Desk(f"http://127.0.0.1:{simulator.port}", callback_url, heard)


def test_a_query_is_acknowledged_and_its_balances_come_by_callback(desk: Desk) -> None:
    acknowledgement = desk.post(desk.body()).json()
    assert acknowledgement["ResponseCode"] == "0"
    result = read_result(desk.heard.get(timeout=5))
    assert result.is_success
    assert result.conversation_id == acknowledgement["ConversationID"]
    assert result.completed_at is not None
    assert result.balance().warnings == ()
    assert len(result.balance().accounts) == 4


@pytest.mark.parametrize(
    "changes", [{"password": "wrong"}, {"Initiator": "nobody"}, {"SecurityCredential": "x"}]
)
def test_wrong_credentials_are_acknowledged_and_refused_by_callback(
    desk: Desk, changes: dict[str, str]
) -> None:
    assert desk.post(desk.body(**changes)).json()["ResponseCode"] == "0"
    assert read_result(desk.heard.get(timeout=5)).code == "2001"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Initiator", ""),
        ("CommandID", "Balance"),
        ("PartyA", "x"),
        ("IdentifierType", "3"),
        ("Remarks", ""),
        ("Remarks", "x" * 101),
        ("ResultURL", "nowhere"),
        ("QueueTimeOutURL", ""),
    ],
)
def test_a_wrong_field_is_named_in_darajas_words(desk: Desk, name: str, value: str) -> None:
    answer = desk.post(desk.body(**{name: value}))
    assert answer.status_code == 400
    assert answer.json()["errorCode"] == "400.002.02"
    assert answer.json()["errorMessage"] == f"Bad Request - Invalid {name}"


def test_the_field_initiatorname_is_not_initiator(desk: Desk) -> None:
    body = desk.body()
    body["InitiatorName"] = body.pop("Initiator")
    assert desk.post(body).json()["errorMessage"] == "Bad Request - Invalid Initiator"


def test_an_unknown_or_ended_token_is_a_404_with_its_code(desk: Desk) -> None:
    token = desk.token()
    assert desk.post(desk.body(), token).status_code == 200
    assert desk.post(desk.body(), "forged").json()["errorCode"] == "404.001.03"
    threading.Event().wait(2.1)
    ended = desk.post(desk.body(), token)
    assert (ended.status_code, ended.json()["errorMessage"]) == (404, "Invalid Access Token")


def test_a_wrong_consumer_key_is_a_400_without_a_body(desk: Desk) -> None:
    basic = base64.b64encode(b"simulator-key:wrong").decode()
    answer = requests.get(
        f"{desk.url}/oauth/v1/generate", headers={"Authorization": f"Basic {basic}"}, timeout=5
    )
    assert (answer.status_code, answer.content) == (400, b"")


def test_the_expiry_of_a_token_is_text_as_in_every_live_answer(desk: Desk) -> None:
    answer = requests.get(
        f"{desk.url}/oauth/v1/generate", auth=("simulator-key", "simulator-secret"), timeout=5
    )
    assert answer.json()["expires_in"] == "2"


def test_balances_move_and_available_is_current_less_reserved() -> None:
    bank = Bank(seed=1)
    seen = [bank.balance("600000") for _ in range(50)]
    assert len(set(seen)) > 40
    assert all(parse_balance(text).warnings == () for text in seen)
    assert any(re.search(r"Charges Paid Account\|KES\|[-0-9.]+\|[-0-9.]+\|[1-9]", text) for text in seen)


def test_one_seed_tells_each_shortcode_its_own_story_again() -> None:
    assert Bank(1).balance("600000") == Bank(1).balance("600000")
    assert Bank(1).balance("600000") != Bank(1).balance("600001")
