"""The committer's own rules, over a real spool and a real broker: whom it waits for, and how long."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from mpesa_balance.settings import BrokerSettings
from tests.integration.queued import messages, tasks
from tests.integration.spooled import delivery
from tests.waiting import eventually
from webhooks import committer
from webhooks.committer import Committer
from webhooks.publisher import Publisher
from webhooks.spool import Spool


class Disk:
    """Where the spool is; it says nothing until `answers` is set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers = threading.Event()

    def opened(self) -> Spool:
        assert self.answers.wait(10)
        return Spool(self.path)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "0.sqlite")


@pytest.fixture
def made(disk: Disk, broker_url: str) -> Iterator[Callable[[], Committer]]:
    def make() -> Committer:
        publisher = Publisher(BrokerSettings(broker_url=broker_url))
        started = Committer(disk.opened, publisher, lambda _: None)
        started.start()
        return started

    yield make
    # A thread that still waits must not wait into the next test.
    disk.answers.set()


@contextmanager
def failing_with(made: Callable[[], Committer], disk: Disk) -> Iterator[Committer]:
    """One that has kept something, and whose file somebody else holds now: SQLite waits a second for it."""
    disk.answers.set()
    failing = made()
    failing.keep(delivery()).result()
    with closing(sqlite3.connect(disk.path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        yield failing


def test_a_disk_that_hangs_is_waited_for_once_and_then_the_broker_confirms(
    made: Callable[[], Committer], store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "DISK_PATIENCE", 1.0)
    hanging = made()
    begun = time.monotonic()
    for kept in range(1, 9):
        hanging.keep(delivery()).result()
        assert tasks(messages(store)) == ["record_callbacks"] * kept
    # Each of eight that waited by itself would make eight seconds.
    assert 0.9 < time.monotonic() - begun < 6


def test_what_comes_while_the_disk_is_busy_shares_the_next_commit(
    made: Callable[[], Committer], disk: Disk, store: redis.Redis
) -> None:
    busy = made()
    commits: list[int] = []
    busy.when_committed = lambda: commits.append(1)
    answers = [busy.keep(delivery()) for _ in range(20)]
    disk.answers.set()
    assert [answer.exception(10) for answer in answers] == [None] * 20
    assert busy.spool is not None
    assert busy.spool.depth == 20
    eventually(lambda: commits)
    assert commits == [1]
    assert tasks(messages(store)) == []


def test_a_disk_that_answers_again_is_waited_for_again(
    made: Callable[[], Committer], disk: Disk, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "DISK_PATIENCE", 0.2)
    hanging = made()
    hanging.keep(delivery()).result()
    disk.answers.set()
    eventually(lambda: hanging.spool is not None and hanging._writing_since is None)
    # However long this disk takes for it.
    monkeypatch.setattr(committer, "DISK_PATIENCE", 60)
    hanging.keep(delivery()).result()
    assert hanging.spool is not None
    assert (hanging.spool.depth, len(tasks(messages(store)))) == (1, 1)


def test_what_relief_gave_to_the_broker_is_not_given_again_when_the_disk_fails(
    made: Callable[[], Committer], disk: Disk, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk is silent for longer than its patience, and then says no."""
    with failing_with(made, disk) as failing:
        monkeypatch.setattr(committer, "DISK_PATIENCE", 0.1)
        failing.keep(delivery()).result()
        eventually(lambda: failing.is_failing)
        # Whatever it does with the one before it has done when it has answered this one.
        failing.keep(delivery()).result()
        assert len(tasks(messages(store))) == 2


def test_a_disk_that_has_failed_is_passed_by_for_a_while(
    made: Callable[[], Committer], disk: Disk, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "DISK_PATIENCE", 60)
    monkeypatch.setattr(committer, "_TRY_DISK_AGAIN_AFTER", 0.3)
    with failing_with(made, disk) as failing:
        begun = time.monotonic()
        # Five that wait a second each would make five.
        for _ in range(5):
            failing.keep(delivery()).result()
        assert time.monotonic() - begun < 4.9
        assert len(tasks(messages(store))) == 5

    def goes_to_the_disk() -> bool:
        given = len(tasks(messages(store)))
        failing.keep(delivery()).result()
        return len(tasks(messages(store))) == given

    eventually(goes_to_the_disk)
