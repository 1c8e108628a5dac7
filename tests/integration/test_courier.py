"""The courier beside a worker that records everything but one."""

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from mpesa_balance.deliveries import Delivery
from mpesa_balance.settings import BrokerSettings
from tests.fakes import eventually
from webhooks import courier
from webhooks.courier import Courier
from webhooks.publisher import Publisher
from webhooks.spool import Spool


def delivery() -> Delivery:
    return Delivery(
        attempt_id=uuid4(),
        kind="result",
        digest=os.urandom(32),
        payload=b"sealed",
        address="127.0.0.1",
        received_at=datetime.now(UTC),
    )


@pytest.fixture
def store(broker_url: str) -> redis.Redis:
    return redis.Redis.from_url(broker_url)


@contextmanager
def recording(store: redis.Redis, poison: int) -> Iterator[None]:
    """A worker for which every batch with this number in it fails as a whole."""
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            if taken := store.brpop(["mpesa-callbacks"], 0.1):
                given = json.loads(base64.b64decode(json.loads(taken[1])["body"]))[1]
                numbers = [one["number"] for one in given["deliveries"]]
                if poison not in numbers:
                    store.rpush(f"mpesa-receipts:{given['spool']}", *numbers)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def test_one_that_is_never_recorded_holds_up_no_other_while_new_ones_come(
    store: redis.Redis, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Receipts of new ones must not put those that it holds up back into one batch with it."""
    for name in ("_FIRST_PATIENCE", "_LONGEST_PATIENCE"):
        monkeypatch.setattr(courier, name, 0.1)
    spool, writing = Spool(tmp_path / "0.sqlite"), threading.Lock()

    def write(new: list[Delivery], recorded: list[int]) -> None:
        with writing:
            spool.write(new, recorded)

    write([delivery() for _ in range(60)], [])
    shipping = Courier(spool, Publisher(BrokerSettings(broker_url=broker_url)), lambda n: write([], n))
    with recording(store, poison=30):
        shipping.start()

        def left() -> list[int]:
            write([delivery()], [])
            shipping.wake()
            return [one.number for one in spool.reader().after(0, 60, up_to=60)]

        eventually(lambda: left() == [30], seconds=20)
