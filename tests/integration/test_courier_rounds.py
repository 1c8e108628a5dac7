"""The courier's own rules, over a real spool and a real broker: what goes when, and what goes again."""

import json
import os
import time
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from mpesa_balance.deliveries import Delivery
from mpesa_balance.settings import BrokerSettings
from tests.fakes import eventually
from webhooks.courier import MOST_QUEUED, Courier
from webhooks.publisher import Publisher
from webhooks.spool import Spool

QUEUE = "mpesa-callbacks"


@pytest.fixture
def queue(broker_url: str) -> redis.Redis:
    return redis.Redis.from_url(broker_url)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "0.sqlite")


@pytest.fixture
def recorded() -> list[int]:
    return []


@pytest.fixture
def courier(spool: Spool, broker_url: str, recorded: list[int]) -> Courier:
    """One whose thread is not started: a test says when it does what."""
    return Courier(spool, Publisher(BrokerSettings(broker_url=broker_url)), recorded.extend)


def keep(spool: Spool, count: int) -> None:
    spool.write([delivery() for _ in range(count)])


def delivery() -> Delivery:
    return Delivery(
        attempt_id=uuid4(),
        kind="result",
        digest=os.urandom(32),
        payload=b"sealed",
        address=None,
        received_at=datetime.now(UTC),
    )


def published(queue: redis.Redis) -> list[list[int]]:
    """The numbers in each message, oldest message first."""
    messages = [json.loads(raw) for raw in reversed(queue.lrange(QUEUE, 0, -1))]
    kwargs = [json.loads(b64decode(message["body"]))[1] for message in messages]
    return [[one["number"] for one in given["deliveries"]] for given in kwargs]


def overdue(courier: Courier, seconds: float = 1.0) -> None:
    """Its patience has been over for so long."""
    courier._round_at = time.monotonic() - seconds


def test_while_a_hundred_messages_wait_the_spool_is_where_the_others_do(
    courier: Courier, spool: Spool, queue: redis.Redis
) -> None:
    queue.lpush(QUEUE, *["{}"] * MOST_QUEUED)
    keep(spool, 1)
    courier._ship()
    assert queue.llen(QUEUE) == MOST_QUEUED
    queue.lpop(QUEUE)
    courier._ship()
    assert queue.llen(QUEUE) == MOST_QUEUED


def test_what_waits_in_the_broker_is_published_again_after_a_minute_and_not_before(
    courier: Courier, spool: Spool, queue: redis.Redis
) -> None:
    keep(spool, 2)
    courier._ship()
    # The first round begins with what is published; the second one finds that it has no receipt.
    overdue(courier)
    courier._ship()
    overdue(courier, 59)
    courier._ship()
    assert published(queue) == [[1, 2]]
    overdue(courier, 61)
    courier._ship()
    assert published(queue) == [[1, 2], [1, 2]]


def test_what_redis_has_lost_is_published_again_at_once_and_only_once_a_round(
    courier: Courier, spool: Spool, queue: redis.Redis
) -> None:
    keep(spool, 2)
    courier._ship()
    overdue(courier)
    courier._ship()
    queue.delete(QUEUE)
    keep(spool, 1)
    overdue(courier)
    courier._ship()
    courier._ship()
    # What is new goes first, and it is not yet among what goes again.
    assert published(queue) == [[3], [1, 2]]


def test_after_three_rounds_in_vain_each_goes_alone_until_there_is_a_receipt(
    courier: Courier, spool: Spool, queue: redis.Redis, recorded: list[int]
) -> None:
    keep(spool, 2)
    courier._ship()
    overdue(courier)
    courier._ship()
    rounds = []
    for _ in range(3):
        queue.delete(QUEUE)
        overdue(courier)
        courier._ship()
        rounds.append(published(queue))
    assert rounds == [[[1, 2]], [[1, 2]], [[1], [2]]]
    queue.rpush(f"mpesa-receipts:{spool.id}", 1)
    courier._collect()
    assert recorded == [1]
    queue.delete(QUEUE)
    keep(spool, 2)
    courier._ship()
    assert published(queue) == [[3, 4]]


def test_each_round_in_vain_is_waited_for_longer(
    courier: Courier, spool: Spool, queue: redis.Redis
) -> None:
    keep(spool, 1)
    courier._ship()
    waits = []
    for _ in range(4):
        queue.delete(QUEUE)
        overdue(courier)
        courier._ship()
        waits.append(round(courier._round_at - time.monotonic()))
    assert waits == [5, 10, 15, 15]


def test_a_spool_that_cannot_be_read_for_a_moment_is_read_again(
    spool: Spool, queue: redis.Redis, broker_url: str
) -> None:
    publisher = Publisher(BrokerSettings(broker_url=broker_url))
    courier = Courier(spool, publisher, lambda numbers: spool.write([], numbers))
    keep(spool, 1)
    spool._writer.execute("ALTER TABLE deliveries RENAME TO away")
    courier.start()
    eventually(lambda: courier.failures)
    spool._writer.execute("ALTER TABLE away RENAME TO deliveries")
    eventually(lambda: published(queue) == [[1]])
    # Its thread has nothing to look for after that.
    queue.rpush(f"mpesa-receipts:{spool.id}", 1)
    eventually(lambda: spool.depth == 0)


def test_a_broker_that_is_away_is_not_asked_without_pause(spool: Spool) -> None:
    courier = Courier(spool, Publisher(BrokerSettings(broker_url="redis://127.0.0.1:1/0")), print)
    keep(spool, 1)
    begun = time.monotonic()
    courier.start()
    eventually(lambda: courier.failures == 3)
    assert time.monotonic() - begun >= 1
    spool.depth = 0
