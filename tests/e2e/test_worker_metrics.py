"""A real worker with two children tells Prometheus of both, also after one of them was killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from celery import Celery

from mpesa_balance import contract
from mpesa_balance.exposition import VARIABLE
from ops.stack.ports import free_port
from ops.stack.programs import CHECKOUT
from tests.conftest import SHORTCODE
from tests.exposed import Scrape
from tests.fakes import FakeDaraja
from tests.integration.amounts import says
from tests.integration.answers import delivery, rows, success
from tests.waiting import eventually, is_answered
from worker.house import House

pytestmark = pytest.mark.slow

RECORDED = "mpesa_balance_callbacks_recorded_total"
DURATIONS = "mpesa_balance_task_duration_seconds_count"


@contextmanager
def working(environment: dict[str, str], folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    queues = ",".join(dict.fromkeys(contract.QUEUES.values()))
    command = (sys.executable, "-m", "celery", "-A", "worker.app", "worker", "-Q", queues)
    own = {"METRICS_PORT": str(port), VARIABLE: str(folder / "metrics")}
    process = subprocess.Popen(
        (*command, "--concurrency=2", "--without-gossip", "--without-mingle", "--max-tasks-per-child=25"),
        env={**os.environ, **environment, **own},
        cwd=CHECKOUT,
        start_new_session=True,
    )
    try:
        eventually(lambda: is_served(port), seconds=60)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_both_children_add_up_also_after_one_was_killed(
    environment: dict[str, str], house: House, daraja: FakeDaraja, keys: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}/metrics"

    def told(name: str, **labels: str) -> float:
        return Scrape(address).value(name, **labels)

    def deliver(app: Celery, times: int) -> None:
        for _ in range(times):
            app.send_task(
                contract.RECORD_CALLBACKS,
                kwargs={"deliveries": [delivery(house, uuid4(), success())]},
                queue=contract.CALLBACKS_QUEUE,
            )

    with (
        working(environment, tmp_path, port) as process,
        Celery(broker=environment["BROKER_URL"], set_as_current=False) as app,
    ):
        # Nothing has happened yet, and so much is told.
        eventually(lambda: Scrape(address).value("mpesa_balance_database_up") == 1)
        assert f'{RECORDED}{{delivery="new"}} 0.0' in Scrape(address).text
        deliver(app, 30)
        assert eventually(lambda: told(RECORDED, delivery="new") == 30, seconds=90)
        assert eventually(
            lambda: told(DURATIONS, task=contract.RECORD_CALLBACKS, outcome="success") == 30, seconds=90
        )
        child = psutil.Process(process.pid).children()[0]
        child.kill()
        child.wait(timeout=10)
        assert told(RECORDED, delivery="new") == 30
        deliver(app, 60)
        assert eventually(lambda: told(RECORDED, delivery="new") == 90, seconds=60)
        app.send_task(
            contract.REQUEST_BALANCE, kwargs={"shortcode": SHORTCODE}, queue=contract.REQUESTS_QUEUE
        )
        taken = {"outcome": "acknowledged"}
        assert eventually(lambda: told("mpesa_balance_submissions_total", **taken) == 1, seconds=90)
        eventually(lambda: told("mpesa_balance_open_queries", state="acknowledged") == 1, seconds=90)
        scrape = Scrape(address)
        assert scrape.value("mpesa_balance_callbacks_judged_total", disposition="unmatched") == 90
        assert scrape.value("mpesa_balance_app_token_expiry_seconds", app="app") > 3000
        # Children come and go, and their slots stay: the main one, two at one time, one that is ending.
        assert len(list((tmp_path / "metrics").glob("*/counter_*.db"))) <= 5
        for family in scrape.families:
            assert f"# HELP {family.name}" in scrape.text
            assert f"# TYPE {family.name}" in scrape.text
        query = rows(house, "SELECT id FROM balance_queries")[0]["id"]
        secrets = (*keys.values(), "Pa55word", "token-1", str(query))
        assert not [secret for secret in secrets if secret in scrape.text]
        assert not says("700000", scrape.text)


def is_served(port: int) -> bool:
    return is_answered(f"http://127.0.0.1:{port}/metrics")
