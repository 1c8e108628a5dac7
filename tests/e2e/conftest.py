"""The settings of the test's own servers, as a command finds them."""

from pathlib import Path

import pytest

from mpesa_balance.settings import WorkerSettings


@pytest.fixture
def environment(settings: WorkerSettings, keys: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {
        **keys,
        "DATABASE_URL": settings.database.database_url,
        "BROKER_URL": settings.broker.broker_url,
        "CALLBACK_BASE_URL": "https://pay.example.co.ke",
        "HEALTH_DIR": str(tmp_path / "health"),
    }
