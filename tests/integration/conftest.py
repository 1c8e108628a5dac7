"""What several modules of these tests need and the others do not."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import redis

from mpesa_balance import logs
from mpesa_balance.addresses import AddressPolicy
from mpesa_balance.callback_urls import CallbackSigner
from mpesa_balance.sealing import Sealer
from mpesa_balance.settings import BrokerSettings, CallbackSettings, WebhookSettings
from ops.doctor.patient import Patient
from tests.integration.answers import begin
from tests.integration.commanding import closing_databases
from tests.integration.console_desk import Console, answering
from tests.integration.doctoring import set_environment
from tests.integration.simulator_desk import Desk
from worker.house import House


@pytest.fixture
def store(broker_url: str) -> redis.Redis:
    """The test's own Redis, as whoever looks into it reaches it."""
    return redis.Redis.from_url(broker_url)


@pytest.fixture
def patient(house: House, monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> Iterator[Patient]:
    """The test's own servers, as the doctor finds them."""
    set_environment(monkeypatch, house.settings, keys)
    with Patient() as looked_at:
        yield looked_at


@pytest.fixture
def attempt_id(house: House, query_id: UUID) -> UUID:
    """The attempt that has begun of the pending query."""
    return begin(house, query_id)


@pytest.fixture
def webhook_settings(
    sealer: Sealer, signer: CallbackSigner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> WebhookSettings:
    """Those of a webhook tier in this process, whose broker is away."""
    # The log of this process is pytest's.
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    return WebhookSettings(
        broker=BrokerSettings(broker_url="redis://127.0.0.1:1/0"),
        callbacks=CallbackSettings(sealer=sealer, signer=signer),
        spool_directory=tmp_path / "spool",
        trusted_hops=0,
        address_policy=AddressPolicy.OFF,
        unknown_per_minute=30,
        log_level="INFO",
    )


@pytest.fixture
def console(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A console that answers, and that nobody has an account in."""
    # The log of this process is pytest's.
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    with answering(house) as served:
        yield served


@pytest.fixture
def desk(simulator: Desk) -> Iterator[Desk]:
    """The simulator of the test's module, in which other tests have turned nothing."""
    yield simulator
    simulator.begin_anew()


@pytest.fixture
def as_alice(
    house: House, monkeypatch: pytest.MonkeyPatch, keys: dict[str, str], tmp_path: Path
) -> Iterator[pytest.MonkeyPatch]:
    """Commands run in this process, as alice."""
    set_environment(monkeypatch, house.settings, keys)
    monkeypatch.setenv("MPESA_BALANCE_ACTOR", "alice")
    # Where no stack runs.
    monkeypatch.chdir(tmp_path)
    with closing_databases(monkeypatch):
        yield monkeypatch
