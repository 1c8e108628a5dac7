"""Heartbeats: written whole, read again, and what is late by them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mpesa_balance import heartbeats
from mpesa_balance.heartbeats import Heartbeat
from tests.logged import events
from worker.pulse import Pulse

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAME = "callbacks@host.example"
HEARTBEAT = Heartbeat(
    name=NAME, process=7, beat_at=NOW, began_at=NOW, canary_at=None, stale_after=120, deaf_after=150
)


def after(seconds: int) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("canary_at", [None, NOW])
def test_what_was_written_is_read_again(tmp_path: Path, canary_at: datetime | None) -> None:
    folder, heartbeat = tmp_path / "health", replace(HEARTBEAT, canary_at=canary_at)
    for _ in range(2):
        heartbeats.write(folder, heartbeat)
    assert heartbeats.read(folder, NAME) == heartbeat
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert '"beat_at": "2026-11-22T12:00:00Z"' in file.read_text()


def test_a_name_stays_inside_of_its_directory(tmp_path: Path) -> None:
    heartbeats.write(tmp_path / "health", replace(HEARTBEAT, name="../x@y"))
    assert [path.name for path in tmp_path.iterdir()] == ["health"]


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", '{"process": 1, "beat_at": 3}', "\0"])
def test_what_is_no_heartbeat_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / f"{NAME}.json").write_text(content)
    assert heartbeats.read(tmp_path, NAME) is None


def test_no_file_is_no_heartbeat(tmp_path: Path) -> None:
    assert heartbeats.read(tmp_path / "nowhere", NAME) is None


def test_a_heartbeat_that_is_old_is_stale_and_one_without_canaries_is_deaf() -> None:
    assert [HEARTBEAT.is_stale(after(seconds)) for seconds in (0, 120, 121)] == [False, False, True]
    assert [HEARTBEAT.is_deaf(after(seconds)) for seconds in (0, 150, 151)] == [False, False, True]
    assert not replace(HEARTBEAT, canary_at=after(100)).is_deaf(after(240))


def test_a_pulse_says_since_when_no_canary_came_home(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path, NAME, canary_interval=30)
    told = []
    for canaries in (0, 1, 1, 2):
        pulse.beat(canaries)
        told.append(heartbeats.read(tmp_path, NAME))
    first, heard, silent, again = [heartbeat for heartbeat in told if heartbeat]
    assert first.canary_at is None
    assert heard.canary_at == silent.canary_at == heard.beat_at
    assert again.canary_at == again.beat_at > silent.beat_at
    assert (first.stale_after, first.deaf_after) == (120, 150)


def test_a_heartbeat_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    pulse = Pulse(tmp_path / "file", NAME, canary_interval=30)
    for _ in range(3):
        pulse.beat(0)
    assert len(events(caplog, "heartbeat_not_written")) == 1
