"""A payroll of another team: its own environment, Celery app and queue; it asks before it pays."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from mpesa_balance import request_id_for
from ops.stack.programs import CHECKOUT
from tests.conftest import private_folder
from tests.e2e.other_team import environment_of_another_team
from tests.e2e.running import Stack, running
from tests.faults.stores import FaultyRedis, faulty_stores
from tests.waiting import eventually

pytestmark = pytest.mark.slow

EXAMPLES = CHECKOUT / "ops" / "examples"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_of_another_team(tmp_path_factory.mktemp("payroll"))


@pytest.fixture(scope="module")
def given() -> Iterator[tuple[Stack, FaultyRedis]]:
    """A stack on a Redis that can be killed, and a Daraja that takes three seconds to answer."""
    with private_folder() as folder, faulty_stores(folder) as (postgres, redis):
        stores = {"DATABASE_URL": postgres.url, "BROKER_URL": redis.url}
        delay = {"SIMULATOR_CALLBACK_DELAY": "3", "MINIMUM_INTERVAL_SECONDS": "0"}
        with running(folder / "state", environment=stores | delay) as stack:
            yield stack, redis


@contextmanager
def payroll_worker(python: Path, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    celery = (python, "-m", "celery", "--app", "payroll")
    command = (*celery, "worker", "--queues", "payroll", "--pool", "solo", "--loglevel", "info")
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=EXAMPLES, env=environment, stdout=written, stderr=written, start_new_session=True
        )
    try:
        eventually(lambda: " ready." in log.read_text(), seconds=90)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    ("payroll", "needed", "decision"),
    [("november", "1048.37", "can be paid"), ("december", "999999999", "waits for a top-up")],
)
def test_funds_are_asked_for_and_the_reply_comes_although_redis_is_restarted_in_between(
    given: tuple[Stack, FaultyRedis],
    python: Path,
    tmp_path: Path,
    payroll: str,
    needed: str,
    decision: str,
) -> None:
    stack, redis = given
    log = tmp_path / "payroll.log"
    environment = {
        "PATH": os.environ["PATH"],
        "BROKER_URL": redis.url,
        "NEEDED": needed,
        "C_FORCE_ROOT": "1",
    }
    with payroll_worker(python, environment, log):
        asked = subprocess.run(
            (python, "payroll.py", "600000", payroll),
            cwd=EXAMPLES,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        request_id = asked.stdout.strip()
        assert request_id == str(request_id_for("600000", f"payroll-{payroll}"))
        eventually(lambda: "acknowledged" in stack.command("status", request_id).stdout, seconds=60)
        redis.kill()
        redis.start()
        eventually(lambda: f"payroll {payroll} {decision}" in log.read_text(), seconds=90)
    assert needed not in log.read_text()


def test_a_payroll_whose_broker_is_away_says_so_and_is_not_asked(python: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "BROKER_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(
        (python, "payroll.py", "600000", "november"),
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "not asked: The request was not sent: the broker cannot be used" in done.stderr
