"""`mpesa-balance doctor` as a person and as a program run it."""

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from celery import Celery

from mpesa_balance import apps
from mpesa_balance.contract import QUEUES
from ops.stack.ports import free_port
from ops.stack.programs import CHECKOUT, webhooks_command, worker
from tests.conftest import SHORTCODE, open_query
from tests.e2e.commands import refusal, run
from tests.fakes import FakeDaraja, Reply
from tests.integration.answers import begin, failure, record, success
from tests.waiting import eventually, is_answered
from worker.house import House

pytestmark = pytest.mark.slow

#: Stands in the balance that is recorded.
AMOUNT = "700000"


@pytest.fixture
def secrets(environment: dict[str, str], house: House) -> tuple[str, ...]:
    """Everything of the fixtures that must never be shown."""
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
        known = replace(app, consumer_key="ck-4711", consumer_secret="cs-4711")
        apps.add(connection, house.database.sealer, known, replace=True)
    sealing_key = environment["SEALING_KEYS"].partition(":")[2]
    credentials = ("Pa55word", "ck-4711", "cs-4711", b64encode(b"ck-4711:cs-4711").decode())
    return (AMOUNT, "token-", sealing_key, environment["CALLBACK_KEYS"], *credentials)


@contextmanager
def program(command: tuple[str, ...], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=CHECKOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def installation(environment: dict[str, str], house: House) -> Iterator[dict[str, str]]:
    """The settings of an installation with a webhook tier and a worker for every queue."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    settings = {**environment, "CALLBACK_BASE_URL": url, "LOG_LEVEL": "ERROR"}
    tasks = (*worker("everything", tuple(QUEUES.values()), processes=1).command, "--pool=solo")
    with program(webhooks_command(port), settings), program(tasks, settings):
        with Celery(broker=environment["BROKER_URL"], set_as_current=False) as app:
            eventually(lambda: app.control.ping(timeout=0.2, limit=1), seconds=90)
        eventually(lambda: is_answered(f"{url}/health/live"))
        yield settings


def test_an_installation_that_works_has_nothing_worse_than_warnings(
    installation: dict[str, str], house: House, secrets: tuple[str, ...]
) -> None:
    """The broker of the tests keeps nothing over a restart, which is the one warning."""
    record(house, begin(house, open_query(house.database)), success())
    with ThreadPoolExecutor(2) as people:
        told = people.submit(run, installation, "doctor", "--json")
        shown = people.submit(run, installation, "doctor", SHORTCODE, "--strict")
    done = told.result()
    document = json.loads(done.stdout)
    worse = [found for found in document["findings"] if found["verdict"] != "ok"]
    assert [(found["area"], found["verdict"]) for found in worse] == [("broker", "warning")], worse
    assert document["verdicts"] == {
        "ok": len(document["findings"]) - 1,
        "warning": 1,
        "error": 0,
        "unknown": 0,
    }
    assert all(found.keys() == {"area", "verdict", "finding", "remedy"} for found in document["findings"])
    assert "workers answer for every queue: everything@" in done.stdout
    assert (done.returncode, shown.result().returncode) == (0, 1)
    # People see what is not well, and how much is.
    assert "│ ok" not in shown.result().stdout
    assert "│ ok" in run(installation, "doctor", "--all").stdout
    for output in (done.stdout + done.stderr, shown.result().stdout + shown.result().stderr):
        assert not [secret for secret in secrets if secret in output]


def test_what_does_not_work_is_an_error_with_its_remedy(
    environment: dict[str, str], house: House, daraja: FakeDaraja, secrets: tuple[str, ...]
) -> None:
    record(house, begin(house, open_query(house.database)), failure("2001"))
    daraja.token_replies.append(Reply(400))
    done = run({**environment, "CALLBACK_BASE_URL": "http://127.0.0.1:1"}, "doctor")
    assert (done.returncode, done.stderr) == (1, "")
    for words in ("wrong consumer key", "invalid initiator", "no worker answers", "What to do"):
        assert words in done.stdout
    # Four queues, two ways to the webhook tier, the token and the initiator.
    assert done.stdout.splitlines()[-1].endswith("2 warning, 8 error, 1 unknown")
    assert not [secret for secret in secrets if secret in done.stdout]


def test_a_shortcode_that_is_not_registered_is_not_found(environment: dict[str, str], house: House) -> None:
    assert "mpesa-balance shortcodes add 699999" in refusal(run(environment, "doctor", "699999"), 4)


def test_without_any_setting_it_still_says_what_to_do() -> None:
    done = run({}, "doctor", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["findings"]
    assert found[0]["verdict"] == "error"
    assert "DATABASE_URL" in found[0]["finding"]
    assert {one["verdict"] for one in found[1:]} == {"unknown"}
