"""Accepted means kept: the tier under faults of its disk, of its broker and of itself."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import requests

from tests.e2e.running import is_alive
from tests.fakes import silent_server
from tests.integration.queued import arguments, tasks
from tests.integration.webhook_desk import ACCEPTED, BODY, Webhooks, answered, is_live, running
from tests.waiting import eventually

pytestmark = pytest.mark.slow


def published(webhooks: Webhooks) -> list[dict[str, Any]]:
    """The deliveries in the queue."""
    return [one for message in webhooks.messages() for one in arguments(message)["deliveries"]]


@contextmanager
def holding(spool: Path) -> Iterator[None]:
    """Somebody else holds the spool's write lock: a disk that does not answer."""
    connection = sqlite3.connect(spool / "0.sqlite", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@pytest.mark.parametrize("broker", ["refused", "silent"])
def test_without_a_broker_callbacks_are_accepted_at_once_and_kept(
    keys: dict[str, str], tmp_path: Path, broker: str
) -> None:
    with silent_server() as silent:
        url = f"redis://127.0.0.1:{silent if broker == 'silent' else 1}/0"
        with running(keys, url, tmp_path / "spool") as webhooks:
            begun = time.monotonic()
            for _ in range(20):
                assert answered(webhooks).json() == ACCEPTED
            # Each that waited for a silent broker would wait for half a second.
            assert time.monotonic() - begun < 8
            ready = requests.get(f"{webhooks.url}/health/ready", timeout=10)
            assert (ready.status_code, ready.json()["spool"]["depth"]) == (200, 20)
            failing = f"{webhooks.url}/health/ready"
            eventually(lambda: requests.get(failing, timeout=10).json()["spool"]["publish_failures"])
            assert len(webhooks.spooled()) == 20


def test_what_was_accepted_without_a_broker_is_published_by_the_next_process(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    with running(keys, "redis://127.0.0.1:1/0", tmp_path / "spool") as first:
        for _ in range(3):
            answered(first)
        os.killpg(first.process.pid, signal.SIGKILL)
    kept = first.deliveries()
    with running(keys, broker_url, tmp_path / "spool") as second:
        eventually(lambda: len(published(second)) == 3)
        assert second.payloads() == [BODY] * 3
        assert [one["attempt_id"] for one in published(second)] == [str(one.attempt_id) for one in kept]


def test_a_receipt_ends_it_and_without_one_it_is_published_again(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        answered(webhooks)
        eventually(webhooks.messages)
        webhooks.queue.delete("mpesa-callbacks")
        (again,) = eventually(webhooks.messages)
        assert again["headers"]["task"] == "mpesa_balance.record_spooled_callbacks"
        webhooks.give_receipts()
        webhooks.queue.delete("mpesa-callbacks")
        answered(webhooks)
        assert len(eventually(lambda: published(webhooks))) == 1


def test_a_redis_that_lost_everything_is_told_everything_again(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        for _ in range(5):
            answered(webhooks)
        eventually(lambda: len(published(webhooks)) == 5)
        webhooks.queue.flushall()
        eventually(lambda: len({one["number"] for one in published(webhooks)}) == 5)


def test_a_long_queue_is_left_to_its_workers_and_the_rest_waits_in_the_spool(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        webhooks.queue.lpush("mpesa-callbacks", *["{}"] * 100)
        assert answered(webhooks).json() == ACCEPTED
        assert answered(webhooks).json() == ACCEPTED
        assert (webhooks.queue.llen("mpesa-callbacks"), len(webhooks.spooled())) == (100, 2)
        webhooks.queue.delete("mpesa-callbacks")
        eventually(lambda: len(published(webhooks)) == 2)


def test_what_an_ended_process_left_is_taken_over_by_one_that_runs(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    with running(keys, broker_url, spool) as lasting:
        with running(keys, "redis://127.0.0.1:1/0", spool) as ended:
            assert answered(ended).json() == ACCEPTED
            os.killpg(ended.process.pid, signal.SIGKILL)
        eventually(lambda: len(published(lasting)) == 1, seconds=20)
        assert lasting.payloads() == [BODY]


def test_a_disk_that_does_not_answer_is_passed_by_and_the_broker_confirms_first(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        answered(webhooks)
        # What has its receipt before it was published never is.
        eventually(webhooks.messages)
        webhooks.give_receipts()
        webhooks.queue.delete("mpesa-callbacks")
        with holding(tmp_path / "spool"), ThreadPoolExecutor(4) as senders:
            answers = list(senders.map(lambda _: answered(webhooks), range(4)))
            assert [answer.json() for answer in answers] == [ACCEPTED] * 4
            assert len(published(webhooks)) == 4
            assert set(tasks(webhooks.messages())) == {"record_callbacks"}


def test_a_disk_that_says_nothing_is_waited_for_once_and_not_by_everybody(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    """Senders are served by eight threads: thirty that wait three seconds each would take twelve."""
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        answered(webhooks)
        # Stopped between two instructions of its commit, as a disk would stop it.
        with holding(tmp_path / "spool"), ThreadPoolExecutor(30) as senders:
            begun = time.monotonic()
            answers = list(senders.map(lambda _: answered(webhooks), range(30)))
            assert [answer.json() for answer in answers] == [ACCEPTED] * 30
            assert time.monotonic() - begun < 10


def test_a_disk_that_takes_no_more_is_passed_by(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    """A limit on the size of files is a disk that is full, as the kernel says it."""
    with running(keys, broker_url, tmp_path / "spool", "prlimit", "--fsize=65536") as webhooks:
        answers = [
            answered(webhooks, b'{"Result": {"ResultCode": 1, "X": "%s"}}' % (b"x" * 20_000))
            for _ in range(8)
        ]
        assert [answer.json() for answer in answers] == [ACCEPTED] * 8
        eventually(lambda: len({one["digest"] for one in published(webhooks)}) == 8)
        assert {"record_callbacks", "record_spooled_callbacks"} == set(tasks(webhooks.messages()))


def test_without_a_disk_it_takes_callbacks_as_long_as_the_broker_does(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with running(keys, broker_url, tmp_path / "file" / "spool") as webhooks:
        assert answered(webhooks).json() == ACCEPTED
        assert tasks(webhooks.messages()) == ["record_callbacks"]
        assert requests.get(f"{webhooks.url}/health/ready", timeout=10).status_code == 200


@pytest.mark.parametrize("broker", ["refused", "silent"])
def test_without_disk_and_broker_it_is_live_not_ready_and_says_503(
    keys: dict[str, str], tmp_path: Path, broker: str
) -> None:
    (tmp_path / "file").write_text("")
    with silent_server() as silent:
        url = f"redis://127.0.0.1:{silent if broker == 'silent' else 1}/0"
        with running(keys, url, tmp_path / "file" / "spool") as webhooks:
            assert requests.get(f"{webhooks.url}/health/live", timeout=10).status_code == 200
            assert requests.get(f"{webhooks.url}/health/ready", timeout=10).status_code == 503
            answer = requests.post(webhooks.address(uuid4()), data=b"{}", timeout=10)
            assert (answer.status_code, answer.json()["ResultCode"]) == (503, 1)


def test_with_a_full_disk_and_no_broker_it_is_not_ready(keys: dict[str, str], tmp_path: Path) -> None:
    nobody = "redis://127.0.0.1:1/0"
    with running(keys, nobody, tmp_path / "spool", "prlimit", "--fsize=65536") as webhooks:
        long = b'{"Result": {"ResultCode": 1, "X": "%s"}}' % (b"x" * 20_000)
        eventually(lambda: answered(webhooks, long).status_code == 503)
        ready = requests.get(f"{webhooks.url}/health/ready", timeout=10)
        assert ready.status_code == 503


def test_a_disk_that_comes_back_is_used_again(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with running(keys, broker_url, tmp_path / "file" / "spool") as webhooks:
        answered(webhooks)
        (tmp_path / "file").unlink()

        def is_spooled() -> bool:
            webhooks.queue.delete("mpesa-callbacks")
            answered(webhooks)
            return "record_spooled_callbacks" in tasks(webhooks.messages())

        eventually(is_spooled)


def test_senders_that_come_together_are_all_answered_and_each_callback_is_kept_once(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        with ThreadPoolExecutor(16) as senders:
            answers = list(senders.map(lambda _: answered(webhooks), range(200)))
        assert all(answer.json() == ACCEPTED for answer in answers)
        eventually(lambda: len(published(webhooks)) == 200)
        assert len({one.attempt_id for one in webhooks.deliveries()}) == 200
        # What comes within a courier's pause goes together.
        assert len(webhooks.messages()) < 100


def test_a_killed_process_of_the_tier_is_started_again_and_its_callbacks_stay(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        answered(webhooks)
        children = psutil.Process(webhooks.process.pid).children()
        assert children
        for child in children:
            child.kill()
        # A connection that the dead one had taken is reset.
        eventually(lambda: is_live(webhooks.url))
        assert answered(webhooks).json() == ACCEPTED
        assert webhooks.payloads() == [BODY] * 2


def test_told_to_stop_it_answers_whom_it_has_begun_to_hear_and_loses_nothing(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        with ThreadPoolExecutor(8) as senders:
            sent = [senders.submit(answered, webhooks) for _ in range(200)]
            eventually(lambda: len(webhooks.spooled()) > 20)
            webhooks.process.terminate()
            accepted = 0
            for one in sent:
                error = one.exception()
                assert error is None or isinstance(error, requests.ConnectionError)
                accepted += error is None and one.result().status_code == 200
        webhooks.process.wait(timeout=15)
        assert 20 < accepted <= len(webhooks.spooled())


def test_what_a_killed_server_leaves_behind_stops_listening(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    """Another server on the same port would share it with the orphan, and its old keys."""
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        (orphan,) = psutil.Process(webhooks.process.pid).children()
        webhooks.process.kill()
        webhooks.process.wait()
        eventually(lambda: not is_alive(orphan))
