"""An installation of the test's own servers, as the doctor finds it."""

from collections.abc import Mapping

import pytest

from mpesa_balance.settings import WorkerSettings
from ops.doctor.verdicts import Opinion


def set_environment(
    monkeypatch: pytest.MonkeyPatch, settings: WorkerSettings, keys: Mapping[str, str], **changed: str
) -> None:
    """Let settings be read from the environment, as the doctor reads them."""
    environment = {
        **keys,
        "DATABASE_URL": settings.database.database_url,
        "BROKER_URL": settings.broker.broker_url,
        "CALLBACK_BASE_URL": settings.callback_base_url,
        **changed,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def verdicts(opinions: list[Opinion]) -> list[str]:
    return [str(opinion.verdict) for opinion in opinions]


def only(opinions: list[Opinion], verdict: str) -> str:
    """All that is said by the one opinion of a check, whose verdict must be this."""
    assert verdicts(opinions) == [verdict], opinions
    (said,) = opinions
    assert bool(said.remedy) == (verdict != "ok"), said
    return f"{said.finding} | {said.remedy}"
