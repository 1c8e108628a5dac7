"""The supervisor of the stack: what it starts again is heard again."""

import subprocess
import sys
from pathlib import Path

import pytest

from ops.stack.programs import CHECKOUT
from tests.e2e.supervised import KILLED, NAMES
from tests.waiting import eventually

pytestmark = pytest.mark.slow


def test_programs_that_end_together_are_heard_once_they_are_started_again(tmp_path: Path) -> None:
    """Nobody would read the pipe of one that is not, and it would hang as soon as that is full."""
    log = tmp_path / "log"

    def heard() -> bool:
        lines = log.read_text().splitlines()
        there = [line.removeprefix(KILLED).split() for line in lines if line.startswith(KILLED)]
        said = {line.partition("|")[2].strip() for line in lines}
        return bool(there) and len(there[0]) == len(NAMES) and set(there[0]) <= said

    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            (sys.executable, "-m", "tests.e2e.supervised"), cwd=CHECKOUT, stdout=output, stderr=output
        )
    try:
        eventually(heard, seconds=120)
    finally:
        supervisor.terminate()
        supervisor.wait()
