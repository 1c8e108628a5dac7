"""What the doctor says of the callback address, with our webhook tier behind it and with others."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from mpesa_balance.apps import BASE_URLS
from mpesa_balance.diagnosis import RegisteredApp
from mpesa_balance.settings import WebhookSettings
from ops.doctor import callbacks, spool
from ops.doctor.patient import Patient
from ops.simulator.keys import KeyPair
from tests.conftest import GOOD_ENVIRONMENT
from tests.fakes import served
from tests.integration.doctoring import only, verdicts
from tests.waiting import eventually
from webhooks.app import create_app
from worker.house import House

Address = Callable[..., Patient]


@contextmanager
def behind(wsgi: Flask, tls: SSLContext | None = None) -> Iterator[str]:
    """The address of a server with this application."""
    with served(make_server("127.0.0.1", 0, wsgi, threaded=True, ssl_context=tls)) as server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"


@pytest.fixture
def ours(webhook_settings: WebhookSettings) -> Iterator[str]:
    """Our webhook tier, in this process."""
    with behind(create_app(webhook_settings)) as url:
        yield url


def saying(body: str, status: int) -> AbstractContextManager[str]:
    """A server that says this to everything."""
    wsgi = Flask("another")
    wsgi.register_error_handler(404, lambda _: (body, status))
    return behind(wsgi)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Address:
    """An installation with this callback address, whose stores are away where they are not given."""

    def at(url: str, **given: str) -> Patient:
        for name, value in {**GOOD_ENVIRONMENT, "CALLBACK_BASE_URL": url, **given}.items():
            monkeypatch.setenv(name, value)
        return Patient()

    return at


def test_our_own_webhook_tier_is_alive_and_guarded(address: Address, ours: str) -> None:
    patient = address(f"{ours}/")
    assert "does not prove that Safaricom reaches it" in only(callbacks.alive(patient), "ok")
    assert "refuses a forged token" in only(callbacks.guarded(patient), "ok")


@pytest.mark.parametrize(
    ("said", "status", "verdict", "finding"),
    [
        ({"is_spooling": True, "depth": 0, "oldest_seconds": 0.0}, 200, "ok", "spools"),
        ({"is_spooling": True, "depth": 7, "oldest_seconds": 61.0}, 200, "warning", "7 callbacks"),
        ({"is_spooling": False, "depth": 0, "oldest_seconds": 0.0}, 200, "error", "on its disk"),
        (None, 503, "error", "can keep no callback"),
        (None, 200, "unknown", "says nothing"),
    ],
)
def test_what_the_tier_says_of_its_spool_is_judged(
    address: Address, said: dict[str, Any] | None, status: int, verdict: str, finding: str
) -> None:
    wsgi = Flask("tier")
    wsgi.add_url_rule("/health/ready", "ready", lambda: ({"spool": said} if said else {}, status))
    with behind(wsgi) as url:
        assert finding in only(spool.state(address(url)), verdict)


def test_our_own_tier_spools(address: Address, ours: str) -> None:
    assert eventually(lambda: verdicts(spool.state(address(ours))) == ["ok"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://pay..example.co.ke"])
def test_an_address_where_nobody_answers_is_an_error(address: Address, url: str) -> None:
    patient = address(url)
    for check in (callbacks.alive, callbacks.guarded):
        assert "does not answer from here" in only(check(patient), "error")


def test_a_chain_that_cannot_be_verified_is_an_error_of_its_own(address: Address, folder: Path) -> None:
    pair = KeyPair.kept_in(folder / "key.pem")
    (folder / "chain.pem").write_bytes((folder / "key.pem").read_bytes() + pair.certificate())
    tls = SSLContext(PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "chain.pem")
    with behind(Flask("impostor"), tls) as url:
        said = only(callbacks.alive(address(url)), "error")
    assert "TLS certificate cannot be verified" in said
    assert f"openssl s_client -connect {url.removeprefix('https://')}`" in said


def test_a_page_of_somebody_else_is_not_our_webhook_tier(address: Address) -> None:
    with saying("<html>not found</html>", 404) as url:
        patient = address(url)
        assert "answered with 404, not 200" in only(callbacks.alive(patient), "error")
        assert "not by our webhook tier" in only(callbacks.guarded(patient), "error")


def test_a_proxy_that_forbids_is_not_our_webhook_tier(address: Address) -> None:
    with saying('{"ResultCode": 1, "ResultDesc": "no"}', 403) as url:
        assert "answered with 403" in only(callbacks.guarded(address(url)), "error")


def test_whoever_takes_a_forged_token_must_be_stopped(address: Address) -> None:
    with saying('{"ResultCode": 0, "ResultDesc": "Accepted"}', 200) as url:
        said = only(callbacks.guarded(address(url)), "error")
    assert "took a forged token" in said
    assert callbacks.FORGED not in said


def app(environment: str, base_url: str) -> RegisteredApp:
    return RegisteredApp(name="app", environment=environment, base_url=base_url, certificate=None)


SIMULATED = app("sandbox", "http://127.0.0.1:8081")
SANDBOX = app("sandbox", BASE_URLS["sandbox"])
LIVE = app("production", BASE_URLS["production"])


def test_an_address_that_daraja_takes_is_well() -> None:
    for registered in ((), (SANDBOX,), (SIMULATED, SANDBOX, LIVE)):
        only(callbacks.judge_address("https://pay.example.co.ke", registered), "ok")


def test_the_simulator_may_call_this_machine() -> None:
    only(callbacks.judge_address("http://127.0.0.1:8080", (SIMULATED,)), "ok")


def test_what_production_refuses_is_found_as_soon_as_one_app_is_of_production() -> None:
    only(callbacks.judge_address("http://pay.ngrok.io", (SANDBOX,)), "ok")
    assert verdicts(callbacks.judge_address("http://pay.ngrok.io", (SANDBOX, LIVE))) == ["error", "error"]


def test_every_word_that_daraja_refuses_is_told() -> None:
    said = callbacks.judge_address("https://mpesa.example.co.ke/query", (SANDBOX,))
    assert ["'mpesa'" in said[0].finding, "'query'" in said[1].finding] == [True, True]


@pytest.mark.parametrize("url", ["https://10.0.0.7", "https://localhost:8080", "https://webhooks"])
def test_safaricom_cannot_call_an_address_of_this_network(url: str) -> None:
    said = callbacks.judge_address(url, (SIMULATED, SANDBOX))
    assert "Safaricom is in neither" in only(said, "error")


def test_the_registered_apps_are_those_that_are_looked_at(address: Address, house: House) -> None:
    with house.database.transaction() as connection:
        connection.execute("UPDATE daraja_apps SET environment = 'production'")
    with address("http://pay.example.co.ke", DATABASE_URL=house.settings.database.database_url) as patient:
        assert "production callbacks must use https" in only(callbacks.rules(patient), "error")
