"""What an ended process left: taken over by one that runs, and forgotten only where it is kept."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mpesa_balance.settings import BrokerSettings
from tests.integration.spooled import delivery
from tests.logged import events
from tests.waiting import eventually
from webhooks import ingress
from webhooks.ingress import Ingress
from webhooks.publisher import Publisher
from webhooks.spool_directory import SpoolDirectory, deliveries_in

NOWHERE = BrokerSettings(broker_url="redis://127.0.0.1:1/0")


def rename(path: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
        somebody.execute(f"ALTER TABLE {table} RENAME TO {name}")


def test_what_was_left_is_forgotten_there_only_when_it_is_kept_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ingress, "_LOOK_EVERY", 0.1)
    lasting = Ingress(tmp_path, Publisher(NOWHERE))
    eventually((tmp_path / "0.sqlite").exists)
    eventually(lambda: lasting._committer.spool)
    # Neither its disk nor the broker takes anything for a moment.
    rename(tmp_path / "0.sqlite", "deliveries", "away")
    ended, left = SpoolDirectory(tmp_path), delivery()
    spool = ended.claim()
    spool.write([left])
    spool.close()
    ended.release()
    eventually(lambda: events(caplog, "left_spool_stays_there"))
    assert list(deliveries_in(tmp_path / "1.sqlite")) == [left]
    rename(tmp_path / "0.sqlite", "away", "deliveries")
    eventually(lambda: list(deliveries_in(tmp_path / "0.sqlite")) == [left])
    eventually(lambda: list(deliveries_in(tmp_path / "1.sqlite")) == [])
    # Its courier has nothing to publish after that.
    lasting._committer.forget([1])
