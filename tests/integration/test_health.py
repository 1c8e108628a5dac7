"""Health of workers and beat: what is well, what is wrong, and what only a restart would mend."""

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_server, gethostname

import pytest
from celery import Celery
from click.testing import CliRunner, Result

from mpesa_balance import health, heartbeats
from mpesa_balance.cli.main import main
from mpesa_balance.heartbeats import Heartbeat
from ops.stack.ports import free_port
from tests.waiting import quickest

NAME = f"callbacks@{gethostname()}"


@contextmanager
def answering(broker_url: str) -> Iterator[None]:
    """Whoever answers to pings under this name, as the mailbox of a worker does."""
    is_over = threading.Event()
    with Celery(broker=broker_url, set_as_current=False) as app, app.connection_for_read() as connection:
        node = app.control.mailbox.Node(
            NAME, handlers={"ping": lambda state: {"ok": "pong"}}, channel=connection.default_channel
        )
        consumer = node.listen()
        # Only now is it subscribed: whoever pings must not be faster than the thread.
        with suppress(TimeoutError):
            connection.drain_events(timeout=0.1)

        def run() -> None:
            while not is_over.is_set():
                try:
                    connection.drain_events(timeout=0.1)
                except TimeoutError:
                    continue

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            consumer.cancel()


def beating(folder: Path, age: float = 0, canary_age: float = 0) -> None:
    now = datetime.now(UTC)
    heartbeats.write(
        folder,
        Heartbeat(
            name=NAME,
            process=1,
            beat_at=now - timedelta(seconds=age),
            began_at=now - timedelta(seconds=3600),
            canary_at=now - timedelta(seconds=canary_age),
            stale_after=120,
            deaf_after=150,
        ),
    )


def aged(pattern: str, text: str) -> int:
    """What age a text tells, in seconds: a slow machine looks later than it wrote."""
    (age,) = re.findall(pattern, text)
    return int(age)


def away() -> str:
    return f"redis://house:hunter2@127.0.0.1:{free_port()}/0"


def run(broker_url: str, folder: Path, *arguments: str) -> Result:
    environment = {"BROKER_URL": broker_url, "HEALTH_DIR": str(folder)}
    return CliRunner().invoke(main, ["health", *arguments], env=environment)


def test_a_worker_that_answers_and_takes_its_messages_is_well(broker_url: str, tmp_path: Path) -> None:
    beating(tmp_path)
    with answering(broker_url):
        done = run(broker_url, tmp_path, "worker", "callbacks")
        shown = run(broker_url, tmp_path, "worker", NAME, "--json")
    assert (done.exit_code, done.output) == (0, f"{NAME}: it answers and takes its messages.\n")
    assert shown.exit_code == 0
    assert json.loads(shown.output) == {
        "subject": NAME,
        "healthy": True,
        "reason": "it answers and takes its messages",
    }


def test_a_worker_that_answers_and_takes_no_messages_is_not_well(broker_url: str, tmp_path: Path) -> None:
    beating(tmp_path, canary_age=200)
    with answering(broker_url):
        done = run(broker_url, tmp_path, "worker", "callbacks")
    assert (done.exit_code, aged(r"has taken no canary for (\d+) s", done.output) >= 200) == (1, True)


def test_of_a_worker_of_another_host_the_answer_is_enough(broker_url: str, tmp_path: Path) -> None:
    with answering(broker_url):
        assert health.worker_ready(broker_url, tmp_path, NAME, 5).healthy


def test_a_worker_that_does_not_answer_is_not_well_after_the_timeout(
    broker_url: str, tmp_path: Path
) -> None:
    beating(tmp_path)

    def look() -> None:
        done = run(broker_url, tmp_path, "worker", "callbacks", "--timeout", "0.3")
        assert (done.exit_code, "does not answer within 0.3 s" in done.output) == (1, True)

    assert quickest(look, 3) < 3
    assert run(broker_url, tmp_path, "worker", "callbacks", "--alive").exit_code == 0


def test_a_broker_that_is_away_is_said_and_leaves_the_worker_alive(tmp_path: Path) -> None:
    beating(tmp_path, canary_age=3600)
    done = run(away(), tmp_path, "worker", "callbacks", "--timeout", "0.5")
    assert (done.exit_code, "the broker is away" in done.output) == (1, True)
    assert "needs no restart" in done.output
    assert "hunter2" not in done.output
    assert run(away(), tmp_path, "worker", "callbacks", "--alive").exit_code == 0


def test_a_broker_that_accepts_and_says_nothing_is_away_within_the_timeout(tmp_path: Path) -> None:
    with create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"

        def look() -> None:
            found = health.worker_ready(url, tmp_path, NAME, 0.3)
            assert (found.healthy, "the broker is away" in found.reason) == (False, True)

        assert quickest(look, 2) < 2


@pytest.mark.parametrize(("age", "alive"), [(0, True), (60, True), (130, False)])
def test_a_worker_is_alive_while_its_heartbeat_is_young(tmp_path: Path, age: float, alive: bool) -> None:
    beating(tmp_path, age=age)
    found = health.worker_alive(tmp_path, NAME)
    assert found.healthy is alive
    assert aged(r"(\d+) s old", found.reason) >= age


def test_a_worker_without_a_heartbeat_is_not_alive(broker_url: str, tmp_path: Path) -> None:
    done = run(broker_url, tmp_path, "worker", "callbacks", "--alive")
    assert (done.exit_code, f"no heartbeat of it in {tmp_path}" in done.output) == (1, True)


def test_beat_is_well_while_its_schedule_is_young_whatever_the_suffix_of_its_file(
    broker_url: str, tmp_path: Path
) -> None:
    schedule = tmp_path / "beat-schedule"
    schedule.with_suffix(".db").write_text("")
    done = run(broker_url, tmp_path, "beat", "--schedule", str(schedule))
    assert (done.exit_code, "it wrote its schedule down" in done.output) == (0, True)


def test_beat_is_not_well_when_its_schedule_is_old_or_not_there(broker_url: str, tmp_path: Path) -> None:
    schedule = tmp_path / "beat-schedule"
    missing = run(broker_url, tmp_path, "beat", "--schedule", str(schedule), "--alive")
    assert (missing.exit_code, "there is no schedule" in missing.output) == (1, True)
    schedule.write_text("")
    os.utime(schedule, (time.time() - 300,) * 2)
    old = run(broker_url, tmp_path, "beat", "--schedule", str(schedule), "--alive", "--json")
    assert old.exit_code == 1
    assert aged(r"(\d+) s ago", json.loads(old.output)["reason"]) >= 300
    assert health.beat(broker_url, schedule, 400, 1).healthy


def test_beat_that_waits_for_the_broker_is_alive_and_not_ready(tmp_path: Path) -> None:
    url, schedule = away(), tmp_path / "beat-schedule"
    found = health.beat(url, schedule, 120, 0.5)
    assert (found.healthy, "the broker, which is away" in found.reason) == (False, True)
    assert health.beat(url, schedule, 120, 0.5, only_alive=True) == replace(found, healthy=True)


def test_settings_that_are_wrong_are_no_state_of_a_program(tmp_path: Path) -> None:
    done = run("amqp://x", tmp_path, "worker", "callbacks")
    assert (done.exit_code, "BROKER_URL must be" in done.output) == (78, True)
