"""Programs are killed, stopped, doubled, outdated and late under load."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import Arena
from tests.faults.report import Teller
from tests.faults.storms import CALLBACKS, take, under_storm
from tests.waiting import eventually

pytestmark = pytest.mark.faults

WORKER = ("worker", "--concurrency=2", "--without-gossip", "--without-mingle", "--queues")
QUEUES = "mpesa-callbacks,mpesa-requests,mpesa-maintenance,mpesa-submissions"


def test_workers_killed_again_and_again(arena: Arena, told: Teller) -> None:
    steps = [step for _ in range(5) for step in (2.5, lambda: arena.kill(arena.workers()))]
    under_storm(arena, told, "F3", "all workers killed (kill -9) 5 times", steps)


def test_webhook_tier_killed(arena: Arena, told: Teller) -> None:
    """What it had not answered need not have been kept; what it had answered is."""
    before = arena.ledger.books.refused
    storm = arena.storm
    attempts = storm.prepare(10 * CALLBACKS)

    def kill() -> None:
        arena.kill([one for one in arena.webhooks() if not one.children()])

    with arena.posting(storm, attempts, CALLBACKS):
        take([2.5, kill, 2.5, kill, 2.5, kill], arena.ledger.books, len(attempts))
    eventually(lambda: arena.is_live(), seconds=20)
    arena.end_unanswered()
    found, seconds = arena.settle(120)
    unanswered = arena.ledger.books.refused - before
    told.tell("F1", "webhook process killed (kill -9) 3 times", found, seconds, f"{unanswered} unanswered")


def test_rolling_restart(arena: Arena, told: Teller) -> None:
    def restart() -> None:
        for worker in arena.workers():
            worker.send_signal(signal.SIGTERM)
            # Compose kills it then.
            _, alive = psutil.wait_procs([worker], timeout=40)
            assert not alive, "a worker took longer than its limit to stop"

    steps = [2, restart, 3, restart, 2]
    under_storm(arena, told, "F4", "SIGTERM to each worker in turn, twice", steps)


@pytest.mark.long
def test_three_beats(arena: Arena, told: Teller) -> None:
    beat = ("-A", "worker.app", "beat", "--pidfile=", "--schedule")
    second, third = (arena.crash_points.parent / name for name in ("second", "third"))
    with arena.also_running(*beat, str(second)), arena.also_running(*beat, str(third)):
        # It writes down when it ticked last.
        eventually(lambda: all(list(one.parent.glob(f"{one.name}*")) for one in (second, third)), 60)
        under_storm(arena, told, "F29", "three beats", [5])


def test_no_beat(arena: Arena, told: Teller) -> None:
    beats = [one for one in arena.stack.processes() if "beat" in one.info["cmdline"]]
    for beat in beats:
        beat.suspend()
    try:
        under_storm(arena, told, "F29", "no beat", [1, lambda: arena.kill(arena.workers()), 4])
    finally:
        for beat in beats:
            beat.resume()


def test_an_older_worker_beside_the_new_ones(arena: Arena, told: Teller) -> None:
    """It throws away what it does not know, as Celery does; the spool rings again."""
    name = "older@beside"
    with arena.also_running("-A", "tests.faults.older", *WORKER, QUEUES, "--hostname", name):
        eventually(lambda: arena.is_answering(name), seconds=60)
        what = "a worker that does not know the newest tasks"
        # Half of what is rung for goes to it, time and again.
        under_storm(arena, told, "F32", what, [5], patience=240)


@pytest.mark.long
@pytest.mark.parametrize("skew", [3600, -3600])
def test_a_worker_whose_clock_is_wrong(arena: Arena, told: Teller, skew: int) -> None:
    wrong = {"PYTHONPATH": str(Path(__file__).parent / "skewed"), "SKEW": str(skew)}
    name = f"skew{skew}@beside"
    with arena.also_running("-A", "worker.app", *WORKER, QUEUES, "--hostname", name, **wrong):
        eventually(lambda: arena.is_answering(name), seconds=60)
        under_storm(arena, told, "F26", f"a worker whose clock is wrong by {skew} s", [5])


@pytest.mark.long
def test_callbacks_ten_times_as_many_as_ever(arena: Arena, told: Teller) -> None:
    storm = arena.storm
    attempts = storm.prepare(3000)
    with arena.posting(storm, attempts, rate=300) as latencies:
        pass
    found, seconds = arena.settle(120)
    slowest = sorted(latencies)[int(len(latencies) * 0.99)]
    told.tell("F22", "300 callbacks a second for 10 s", found, seconds, f"{slowest * 1000:.0f} ms")
    assert len(latencies) == len(attempts)
