"""The settings of the test's own servers, as a command finds them."""

import pytest

from mpesa_balance.settings import WorkerSettings


@pytest.fixture
def environment(settings: WorkerSettings, keys: dict[str, str]) -> dict[str, str]:
    return {
        **keys,
        "DATABASE_URL": settings.database.database_url,
        "BROKER_URL": settings.broker.broker_url,
        "CALLBACK_BASE_URL": "https://pay.example.co.ke",
    }
