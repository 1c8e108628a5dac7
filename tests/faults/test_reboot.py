"""The whole host goes down at once, and comes up again (F35)."""

import os
import random
import signal
import time

import pytest

from tests.conftest import private_folder
from tests.e2e.running import is_alive
from tests.faults import report
from tests.faults.conftest import Arena, entered
from tests.faults.report import Teller
from tests.faults.stores import faulty_stores
from tests.faults.storms import CALLBACKS, REQUESTS, take
from tests.faults.traffic import asking, asking_again

pytestmark = pytest.mark.faults


def go_down(arena: Arena) -> None:
    """Kill -9 of everything, the supervisor first; Postgres as a power cut leaves it."""
    processes = arena.stack.processes()
    os.kill(arena.stack.process.pid, signal.SIGKILL)
    arena.stack.process.wait()
    for process in processes:
        if is_alive(process) and process.info["name"] != "postgres":
            process.kill()
    arena.redis.kill()
    arena.postgres.stop("immediate")


def test_everything_is_killed_and_started_again() -> None:
    with private_folder() as folder, faulty_stores(folder) as (postgres, redis):
        with entered(folder, postgres, redis) as before:
            attempts = before.storm.prepare(100)
            books = before.ledger.books
            with (
                asking(before.callers, REQUESTS),
                before.posting(before.storm, attempts, CALLBACKS),
            ):
                take([4, lambda: go_down(before)], books, len(attempts))
        begun = time.monotonic()
        for start in random.sample([postgres.start, redis.start], 2):
            start()
        with entered(folder, postgres, redis) as after:
            after.ledger.books = books
            after.callers.know(before.callers)
            with asking_again(after.callers):
                after.end_unanswered()
                found, _ = after.settle(90)
        seconds = time.monotonic() - begun
        teller = Teller(report.NOTHING)
        teller.tell(
            "F35", "everything killed (kill -9), stores included, and started again", found, seconds
        )
        assert teller.line is not None
        report.add({"test": "test_everything_is_killed_and_started_again", **teller.line})
        assert len(books.accepted) > 20
