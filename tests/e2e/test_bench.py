"""The comparison bench runs: a second of accepting and a handful of callbacks recorded, no more."""

import json
import os
import subprocess
import sys

import pytest

from ops.stack.programs import CHECKOUT

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
