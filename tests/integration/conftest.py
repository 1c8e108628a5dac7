"""What several modules of these tests need and the others do not."""

from collections.abc import Iterator

import pytest
import redis

from ops.doctor.patient import Patient
from tests.integration.doctoring import set_environment
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
