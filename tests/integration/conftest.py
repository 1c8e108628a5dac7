"""What several modules of these tests need and the others do not."""

from collections.abc import Iterator
from uuid import UUID

import pytest
import redis

from ops.doctor.patient import Patient
from tests.integration.answers import begin
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
def desk(simulator: Desk) -> Iterator[Desk]:
    """The simulator of the test's module, in which other tests have turned nothing."""
    yield simulator
    simulator.begin_anew()
