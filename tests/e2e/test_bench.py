"""The comparison bench runs: a second of accepting and a handful of callbacks recorded, no more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ops.bench.rounds import DISK
from ops.stack.programs import CHECKOUT
from tests.waiting import eventually

pytestmark = pytest.mark.slow

#: The peer inline is left out: it needs the extra "bench", which the tests do without.
SMALL = {"ACCEPT_SECONDS": "2", "ACCEPT_WARM_UP": "0.2", "RECORD": "200", "QUERIES": "20"}

RUN = """
import json, sys
from ops.bench.figures.registry import FIGURES
figure = next(one for one in FIGURES if one.name == sys.argv[1])
print(json.dumps({name: dict(figure.systems[name]().numbers) for name in sys.argv[2:]}))
"""


def measured(figure: str, *systems: str) -> dict[str, dict[str, float]]:
    done = subprocess.run(
        (sys.executable, "-c", RUN, figure, *systems),
        env={**os.environ, **SMALL},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_is_accepted_while_it_is_counted_is_kept() -> None:
    found = measured("accept", "ours", "plain Celery", "Flask constant")
    for numbers in found.values():
        assert numbers["rate"] > 0
        assert numbers["refused"] == numbers["lost"] == numbers.get("not kept", 0) == 0
        assert numbers["CPU ms"] > 0


def test_what_waits_in_redis_is_recorded_while_it_is_timed() -> None:
    found = measured("record", "ours", "Celery empty, prefork", "plain Celery")
    assert all(numbers["rate"] > 0 and numbers["CPU ms"] > 0 for numbers in found.values())


def test_whole_queries_are_answered_by_the_stand_in_for_daraja() -> None:
    numbers = measured("queries", "ours")["ours"]
    assert numbers["not completed"] == numbers["refused"] == 0
    assert numbers["asked"] == 70


def test_a_bench_that_is_told_to_stop_leaves_nothing_behind() -> None:
    before = rounds()
    process = subprocess.Popen(
        (sys.executable, "-m", "ops.bench.compare", "--only", "burst", "--rounds", "1"),
        env={**os.environ, "BURST": "100000", "BURST_RATE": "100"},
        cwd=CHECKOUT,
    )
    try:
        eventually(lambda: any((one / "callbacks worker.log").exists() for one in rounds() - before), 60)
        (folder,) = rounds() - before
        process.terminate()
        assert process.wait(timeout=60) == 143
    finally:
        process.kill()
        process.wait()
    assert rounds() <= before
    assert [one for one in psutil.process_iter() if belongs(one, folder)] == []


def rounds() -> set[Path]:
    return set(DISK.glob("round-*"))


def belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        known = [process.cwd(), *process.cmdline(), *process.environ().values()]
    except psutil.Error:
        return False
    return any(str(folder) in text for text in known)
