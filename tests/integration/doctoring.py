"""An installation of the test's own servers, as the doctor finds it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest

from mpesa_balance.settings import WorkerSettings
from ops.doctor.verdicts import Opinion
from tests.conftest import Postgres


@contextmanager
def shared_database(postgres: Postgres) -> Iterator[str]:
    """One database for a whole module of tests: making one for each takes longer than the tests do."""
    name = f"doctor_{uuid4().hex}"
    postgres.create(name, "template_house")
    yield postgres.url(name)
    postgres.drop(name)


def emptied(database_url: str) -> str:
    """The same database with nothing registered and nothing recorded."""
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE daraja_apps, callbacks CASCADE")
        connection.execute("TRUNCATE balance_requests")
    return database_url


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
