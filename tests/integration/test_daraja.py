"""Daraja over HTTP: each answer leaves as what is to be done about it, and none holds a task."""

import inspect
import ssl
import time
from base64 import b64decode
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from flask import Flask, request
from requests import exceptions
from werkzeug.serving import make_server

from mpesa_balance.apps import App
from mpesa_balance.errors import (
    AppRefused,
    CredentialsRefused,
    DarajaError,
    DarajaRefused,
    DarajaThrottled,
    DarajaTokenInvalid,
    DarajaUnavailable,
    DarajaUnclear,
)
from ops.simulator.keys import KeyPair
from tests import samples
from tests.fakes import FakeDaraja, Reply, json_reply, raw_server, served, silent_server
from worker import deadline
from worker.answers import Acknowledgement, Token
from worker.daraja import Daraja

ACTIONS: dict[str, type[DarajaError]] = {
    "refresh_token_once": DarajaTokenInvalid,
    "retry_backoff": DarajaUnavailable,
    "fail": DarajaRefused,
}

JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def client() -> Daraja:
    return Daraja(timeout=10)


def app_at(url: str) -> App:
    return App(
        name="app", environment="sandbox", base_url=url, consumer_key="key", consumer_secret="secret"
    )


def sampled(name: str) -> Reply:
    sample = samples.document(name)
    return Reply(sample["http_status"], sample["body"].encode(), sample["headers"])


def ask(client: Daraja, url: str) -> Acknowledgement:
    return client.ask(app_at(url), "BJGFGOXv5aZnw90KkA4TDtu4Xdyf", {"Initiator": "testapi"})


def refusal(client: Daraja, url: str) -> DarajaError:
    with pytest.raises(DarajaError) as raised:
        ask(client, url)
    return raised.value


@pytest.mark.parametrize("name", [name for name in samples.of_kind("http") if "oauth" not in name])
def test_each_http_sample_leaves_as_what_is_to_be_done(
    client: Daraja, daraja: FakeDaraja, name: str
) -> None:
    expected = samples.EXPECTED[name]
    daraja.replies.append(sampled(name))
    error = refusal(client, daraja.url)
    assert isinstance(error, ACTIONS[expected["action"]])
    assert isinstance(error, CredentialsRefused) is (expected.get("alert") == "credentials")
    assert "BJGFGOXv5aZnw90KkA4TDtu4Xdyf" not in str(error)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (json_reply({"errorCode": "503.999", "errorMessage": "busy"}, 503), DarajaUnavailable),
        (json_reply({"errorCode": "429.001", "errorMessage": "slow down"}, 429), DarajaUnavailable),
        (Reply(403, b"<html>Incapsula"), DarajaUnavailable),
        (Reply(404, b"<html>nginx"), DarajaUnavailable),
        (Reply(400, b""), DarajaUnavailable),
        (Reply(401, b""), DarajaTokenInvalid),
        (json_reply({"errorCode": "400.999", "errorMessage": "no"}, 400), DarajaRefused),
        (json_reply({"errorMessage": "no"}, 403), DarajaRefused),
    ],
    ids=range(8),
)
def test_an_answer_that_no_table_knows_is_told_by_its_status_and_its_form(
    client: Daraja, daraja: FakeDaraja, reply: Reply, kind: type[DarajaError]
) -> None:
    daraja.replies.append(reply)
    assert type(refusal(client, daraja.url)) is kind


def test_a_token_server_that_says_401_says_who_is_wrong(client: Daraja, daraja: FakeDaraja) -> None:
    daraja.token_replies.append(Reply(401))
    with pytest.raises(AppRefused):
        client.mint(app_at(daraja.url))


def test_a_web_page_instead_of_a_token_is_not_taken_for_wrong_credentials(
    client: Daraja, daraja: FakeDaraja
) -> None:
    for status in (400, 403, 503):
        daraja.token_replies.append(Reply(status, b"<html>Incapsula"))
        with pytest.raises(DarajaUnavailable):
            client.mint(app_at(daraja.url))


def test_a_quota_waits_longer_than_a_spike(client: Daraja, daraja: FakeDaraja) -> None:
    daraja.replies.extend(
        [sampled("http/500.003.03-quota.json"), sampled("http/500.003.02-spike-arrest.json")]
    )
    assert isinstance(refusal(client, daraja.url), DarajaThrottled)
    assert not isinstance(refusal(client, daraja.url), DarajaThrottled)


@pytest.mark.parametrize("name", samples.of_kind("ack"))
def test_each_acknowledgement_sample_is_read_as_expected(
    client: Daraja, daraja: FakeDaraja, name: str
) -> None:
    expected = samples.EXPECTED[name]
    sample = samples.document(name)
    daraja.replies.append(json_reply(sample))
    if expected["state"] == "acknowledged":
        taken = ask(client, daraja.url)
        assert taken.conversation_id == sample["ConversationID"]
        assert taken.originator_conversation_id == sample["OriginatorConversationID"]
    else:
        unclear = expected["state"] == "pending"
        assert isinstance(refusal(client, daraja.url), DarajaUnclear if unclear else DarajaRefused)


@pytest.mark.parametrize(
    "sample",
    [
        {"OriginatorCoversationID": "1-2-3", "ResponseCode": "00000000"},
        {"ConversationID": "AG_1", "ResponseCode": 0},
    ],
)
def test_one_id_under_either_spelling_is_enough(
    client: Daraja, daraja: FakeDaraja, sample: dict[str, object]
) -> None:
    daraja.replies.append(json_reply(sample))
    assert ask(client, daraja.url)


@pytest.mark.parametrize("name", samples.of_kind("oauth", "oauth/success"))
def test_a_token_is_read_whether_its_expiry_is_text_or_a_number(
    client: Daraja, daraja: FakeDaraja, name: str
) -> None:
    daraja.token_replies.append(Reply(200, samples.payload(name)))
    assert client.mint(app_at(daraja.url)).expires_in == samples.EXPECTED[name]["ttl"]


@pytest.mark.parametrize("expiry", [None, "", "soon", -1, 0, "1e9", 10**9, "9" * 5000])
def test_an_expiry_that_cannot_be_true_counts_as_a_minute(
    client: Daraja, daraja: FakeDaraja, expiry: object
) -> None:
    daraja.token_seconds = expiry
    assert client.mint(app_at(daraja.url)).expires_in == 60


@pytest.mark.parametrize("name", ["oauth/error-400.008.01.json", "http/empty-400-oauth.json"])
def test_a_bad_consumer_key_says_what_to_do(client: Daraja, daraja: FakeDaraja, name: str) -> None:
    daraja.token_replies.append(sampled(name))
    with pytest.raises(AppRefused, match="apps add --replace"):
        client.mint(app_at(daraja.url))


@pytest.mark.parametrize("reply", [Reply(503, b"<html>"), Reply(429), Reply(500, b"{}")])
def test_a_token_server_in_trouble_is_tried_again(client: Daraja, daraja: FakeDaraja, reply: Reply) -> None:
    daraja.token_replies.append(reply)
    with pytest.raises(DarajaUnavailable):
        client.mint(app_at(daraja.url))


def test_a_connection_that_is_refused_was_not_taken(client: Daraja) -> None:
    assert type(refusal(client, "http://127.0.0.1:1")) is DarajaUnavailable


def test_a_name_that_does_not_resolve_was_not_taken(client: Daraja) -> None:
    assert type(refusal(client, "http://daraja.invalid")) is DarajaUnavailable


def test_a_connection_that_is_cut_after_the_request_is_unclear(client: Daraja) -> None:
    with raw_server() as url:
        assert isinstance(refusal(Daraja(timeout=1), url), DarajaUnclear)


def test_an_answer_that_is_cut_short_is_unclear(client: Daraja) -> None:
    with raw_server(JSON_HEAD + b'Content-Length: 99\r\n\r\n{"ConversationID": "A') as url:
        assert isinstance(refusal(Daraja(timeout=1), url), DarajaUnclear)


def test_json_that_is_cut_short_inside_a_whole_body_is_unclear(client: Daraja, daraja: FakeDaraja) -> None:
    daraja.replies.append(Reply(200, b'{"ConversationID": "A'))
    assert isinstance(refusal(client, daraja.url), DarajaUnclear)


def test_a_body_without_end_is_given_up(client: Daraja) -> None:
    with raw_server(JSON_HEAD + b"\r\n", *[b"x" * 8192] * 20) as url:
        assert isinstance(refusal(Daraja(timeout=1), url), DarajaUnclear)


def test_a_redirect_is_not_followed(client: Daraja, daraja: FakeDaraja) -> None:
    daraja.replies.append(Reply(302, b"", {"Location": f"{daraja.url}/elsewhere"}))
    assert isinstance(refusal(client, daraja.url), DarajaRefused)


@pytest.mark.parametrize("url", ["daraja", "ftp://daraja", "http://", "http://[", "http://a b"])
def test_an_address_that_cannot_be_used_is_refused(client: Daraja, url: str) -> None:
    assert isinstance(refusal(Daraja(timeout=1), url), DarajaRefused)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_says_nothing_is_given_up_in_time(scheme: str) -> None:
    """Over HTTPS it is the handshake that is never answered."""
    with silent_server() as port:
        _given_up_in_time(f"{scheme}://127.0.0.1:{port}")


@pytest.mark.parametrize("head", [b"", JSON_HEAD + b"Content-Length: 1000\r\n\r\n"])
def test_a_server_that_drips_is_given_up_in_time(head: bytes) -> None:
    """Each byte comes well within the timeout of a read, whether of the headers or of the body."""
    drips = [bytes([byte]) for byte in JSON_HEAD] if not head else [b"x"] * 100
    with raw_server(head, *drips, pause=0.2) as url:
        _given_up_in_time(url)


def _given_up_in_time(url: str) -> None:
    begun = time.monotonic()
    assert isinstance(refusal(Daraja(timeout=1), url), DarajaUnclear | DarajaUnavailable)
    # Whoever drips would take ten seconds.
    assert 0.8 < time.monotonic() - begun < 9


class _Keeping(BaseHTTPRequestHandler):
    """Keeps its connections, as Daraja does and the fake does not."""

    protocol_version = "HTTP/1.1"
    connections: ClassVar[list[object]]

    def do_POST(self) -> None:
        self.connections.append(self.connection)
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"ResponseCode": "0", "ConversationID": "AG_1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_connection_is_kept_and_the_deadline_begins_anew_with_each_query(
    client: Daraja, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = type("Handler", (_Keeping,), {"connections": []})
    with served(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        for later in (0, 11, 22):
            monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=partial(_ahead, later)))
            assert ask(client, f"http://127.0.0.1:{server.server_port}")
    assert len(set(handler.connections)) == 1
    assert len(handler.connections) == 3


def _ahead(seconds: float) -> float:
    return time.monotonic() + seconds


def test_every_exception_of_requests_leaves_as_one_of_ours(
    client: Daraja, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Walks requests.exceptions itself, so that a new one of theirs cannot slip by."""
    raised = [
        kind
        for _, kind in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(kind, exceptions.RequestException)
    ]
    assert len(raised) > 15
    for kind in raised:

        def fail(*_: object, kind: type[Exception] = kind, **__: object) -> None:
            raise kind("boom", "", 0) if kind is exceptions.JSONDecodeError else kind("boom")

        monkeypatch.setattr(client._session, "request", fail)
        assert isinstance(refusal(client, "http://127.0.0.1:1"), DarajaError)


def test_a_server_that_cannot_prove_who_it_is_gets_nothing(client: Daraja, folder: Path) -> None:
    """Its certificate is its own work, as that of anybody in between would be."""
    KeyPair.kept_in(folder / "key.pem")
    certificate = KeyPair.kept_in(folder / "key.pem").certificate()
    (folder / "chain.pem").write_bytes((folder / "key.pem").read_bytes() + certificate)
    wsgi = Flask("impostor")
    heard: list[bytes] = []
    wsgi.before_request(lambda: heard.append(request.get_data()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem")
    with served(make_server("127.0.0.1", 0, wsgi, ssl_context=context)) as server:
        assert isinstance(refusal(client, f"https://127.0.0.1:{server.port}"), DarajaUnavailable)
    assert heard == []


def test_a_proxy_of_the_host_does_not_see_what_is_sent(
    client: Daraja, daraja: FakeDaraja, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ask(client, daraja.url)


def test_a_token_server_that_is_cut_off_is_tried_again(client: Daraja) -> None:
    with (
        raw_server(JSON_HEAD + b'Content-Length: 99\r\n\r\n{"access') as url,
        pytest.raises(DarajaUnavailable),
    ):
        client.mint(app_at(url))


def test_the_token_is_in_no_repr() -> None:
    assert "c9SQ" not in repr(Token("c9SQxWWhmdVRlyh0zh8gZDTkubVF", 3599))


def test_basic_authentication_carries_key_and_secret(client: Daraja) -> None:
    """Read off the wire by a server that keeps what it was sent."""
    seen: list[str] = []
    wsgi = Flask("seen")

    @wsgi.get("/oauth/v1/generate")
    def generate() -> dict[str, str]:
        seen.append(request.headers["Authorization"].removeprefix("Basic "))
        seen.append(request.args["grant_type"])
        return {"access_token": "t", "expires_in": "3599"}

    server = make_server("127.0.0.1", 0, wsgi, threaded=True)
    with served(server):
        client.mint(app_at(f"http://127.0.0.1:{server.server_port}"))
    assert [b64decode(seen[0]), seen[1]] == [b"key:secret", "client_credentials"]


def test_an_acknowledgement_that_is_cut_short_after_white_space_is_unclear(
    client: Daraja, daraja: FakeDaraja
) -> None:
    daraja.replies.append(Reply(200, b' \n {"Conv'))
    assert isinstance(refusal(client, daraja.url), DarajaUnclear)


def test_what_daraja_says_is_cut_to_a_line(client: Daraja, daraja: FakeDaraja) -> None:
    daraja.replies.append(json_reply({"errorCode": "400.002.02", "errorMessage": "x y " * 2000}, 400))
    assert len(str(refusal(client, daraja.url))) <= 1024
