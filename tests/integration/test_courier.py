"""The courier's own rules, over a real spool and a real broker: what goes when, and what goes again."""

import time
from pathlib import Path

import pytest
import redis

from mpesa_balance.contract import CALLBACKS_QUEUE, RECEIPTS
from mpesa_balance.settings import BrokerSettings
from tests.integration.queued import arguments, messages
from tests.integration.spooled import delivery
from tests.waiting import eventually
from webhooks.courier import MOST_QUEUED, Courier
from webhooks.publisher import Publisher
from webhooks.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "0.sqlite")


@pytest.fixture
def courier(spool: Spool, broker_url: str) -> Courier:
    """One whose thread is not started: a test says when it does what."""
    publisher = Publisher(BrokerSettings(broker_url=broker_url))
    return Courier(spool, publisher, lambda recorded: spool.write([], recorded))


def keep(spool: Spool, count: int) -> None:
    spool.write([delivery() for _ in range(count)])


def published(store: redis.Redis) -> list[list[int]]:
    """The numbers in each message, oldest message first."""
    given = [arguments(message) for message in messages(store)]
    return [[one["number"] for one in each["deliveries"]] for each in given]


def recorded(store: redis.Redis, spool: Spool, *numbers: int) -> None:
    """A worker's receipts for these."""
    store.rpush(f"{RECEIPTS}{spool.id}", *numbers)


def left(spool: Spool) -> list[int]:
    """The first that still wait for their receipt."""
    return [one.number for one in spool.reader().after(0, 60, up_to=60)]


def ship_overdue(courier: Courier, seconds: float = 1.0) -> None:
    """Once more, when its patience has been over for so long."""
    courier._round_at = time.monotonic() - seconds
    courier._ship()


def test_while_a_hundred_messages_wait_the_spool_is_where_the_others_do(
    courier: Courier, spool: Spool, store: redis.Redis
) -> None:
    store.lpush(CALLBACKS_QUEUE, *["{}"] * MOST_QUEUED)
    keep(spool, 1)
    courier._ship()
    assert store.llen(CALLBACKS_QUEUE) == MOST_QUEUED
    store.lpop(CALLBACKS_QUEUE)
    courier._ship()
    assert store.llen(CALLBACKS_QUEUE) == MOST_QUEUED


def test_what_waits_in_the_broker_is_published_again_after_a_minute_and_not_before(
    courier: Courier, spool: Spool, store: redis.Redis
) -> None:
    keep(spool, 2)
    courier._ship()
    # The first round begins with what is published; the second one finds that it has no receipt.
    ship_overdue(courier)
    ship_overdue(courier, 59)
    assert published(store) == [[1, 2]]
    ship_overdue(courier, 61)
    assert published(store) == [[1, 2], [1, 2]]


def test_what_redis_has_lost_is_published_again_at_once_and_only_once_a_round(
    courier: Courier, spool: Spool, store: redis.Redis
) -> None:
    keep(spool, 2)
    courier._ship()
    ship_overdue(courier)
    store.delete(CALLBACKS_QUEUE)
    keep(spool, 1)
    ship_overdue(courier)
    courier._ship()
    # What is new goes first, and it is not yet among what goes again.
    assert published(store) == [[3], [1, 2]]


def test_after_three_rounds_in_vain_each_goes_alone_until_there_is_a_receipt(
    courier: Courier, spool: Spool, store: redis.Redis
) -> None:
    keep(spool, 2)
    courier._ship()
    ship_overdue(courier)
    rounds = []
    for _ in range(3):
        store.delete(CALLBACKS_QUEUE)
        ship_overdue(courier)
        rounds.append(published(store))
    assert rounds == [[[1, 2]], [[1, 2]], [[1], [2]]]
    recorded(store, spool, 1)
    courier._collect()
    assert left(spool) == [2]
    store.delete(CALLBACKS_QUEUE)
    keep(spool, 2)
    courier._ship()
    assert published(store) == [[3, 4]]


def test_each_round_in_vain_is_waited_for_longer(
    courier: Courier, spool: Spool, store: redis.Redis
) -> None:
    keep(spool, 1)
    courier._ship()
    waits = []
    for _ in range(4):
        store.delete(CALLBACKS_QUEUE)
        ship_overdue(courier)
        waits.append(round(courier._round_at - time.monotonic()))
    assert waits == [5, 10, 15, 15]


def test_a_spool_that_cannot_be_read_for_a_moment_is_read_again(
    courier: Courier, spool: Spool, store: redis.Redis
) -> None:
    keep(spool, 1)
    spool._writer.execute("ALTER TABLE deliveries RENAME TO away")
    courier.start()
    eventually(lambda: courier.failures)
    spool._writer.execute("ALTER TABLE away RENAME TO deliveries")
    eventually(lambda: published(store) == [[1]])
    # Its thread has nothing to look for after that.
    recorded(store, spool, 1)
    eventually(lambda: spool.depth == 0)


def test_a_broker_that_is_away_is_not_asked_without_pause(spool: Spool) -> None:
    courier = Courier(spool, Publisher(BrokerSettings(broker_url="redis://127.0.0.1:1/0")), print)
    keep(spool, 1)
    begun = time.monotonic()
    courier.start()
    eventually(lambda: courier.failures == 3)
    assert time.monotonic() - begun >= 1
    spool.depth = 0


def test_one_that_is_never_recorded_holds_up_no_other_while_new_ones_come(
    courier: Courier, spool: Spool, store: redis.Redis
) -> None:
    """Receipts of new ones must not put those that it holds up back into one batch with it."""
    keep(spool, 60)
    for _ in range(8):
        ship_overdue(courier)
        for batch in published(store):
            # In the worker, every batch with this one in it fails as a whole.
            if 30 not in batch:
                recorded(store, spool, *batch)
        store.delete(CALLBACKS_QUEUE)
        courier._collect()
        keep(spool, 1)
    assert left(spool) == [30]
