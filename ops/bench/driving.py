"""Running a load: the driver as a process beside the system, and what came of its plan."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import IO, cast

from ops.bench.plans import Outcome, Plan
from ops.bench.rounds import Round


class DriverFailed(Exception):
    """The driver ended without an outcome; what it printed says why."""


class Driver:
    """One plan, made ready, then driven at the word."""

    def __init__(self, running: Round, plan: Plan) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-m", "ops.bench.driver"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        running.held.callback(self._process.kill)
        # On standard input, because it holds the keys of callback addresses.
        self._say(json.dumps(asdict(plan)))
        self._expect("ready")

    def begin(self) -> None:
        """Give the word; returns when the timed part begins."""
        self._say("go")
        self._expect("begun")

    def end(self) -> None:
        """Returns when the timed part has ended."""
        self._expect("ended")

    def run(self) -> Outcome:
        """All of it."""
        self.begin()
        self.end()
        return self.outcome()

    def outcome(self) -> Outcome:
        """What came of it; the driver is gone then."""
        found = Outcome(**json.loads(self._line()))
        self._process.wait()
        return found

    def _say(self, text: str) -> None:
        cast("IO[str]", self._process.stdin).write(f"{text}\n")

    def _expect(self, word: str) -> None:
        line = self._line()
        if line != word:
            raise DriverFailed(f"the driver said {line!r} where it should have said {word!r}")

    def _line(self) -> str:
        return cast("IO[str]", self._process.stdout).readline().rstrip("\n")


def drive(running: Round, plan: Plan, when_ended: Callable[[], None] = lambda: None) -> dict[str, float]:
    """Drive a plan; gives its rate and latencies, and what the system has used for each answer.

    when_ended: called at its end, before what was used is looked at.
    """
    driver = Driver(running, plan)
    driver.begin()
    before = running.usage()
    driver.end()
    when_ended()
    used = running.usage().since(before)
    outcome = driver.outcome()
    return {**numbers(outcome), **used.numbers(max(outcome.answered, 1))}


def numbers(outcome: Outcome) -> dict[str, float]:
    """The plain numbers of an outcome. Latencies are in milliseconds."""
    return {
        "rate": outcome.answered / outcome.elapsed,
        "p50 ms": outcome.p50 * 1000,
        "p99 ms": outcome.p99 * 1000,
        "longest ms": outcome.longest * 1000,
        "refused": float(outcome.refused),
        "lost": float(outcome.lost),
        "taken": float(outcome.taken),
        "CPU ms, load": outcome.cpu * 1000 / max(outcome.answered, 1),
    }
