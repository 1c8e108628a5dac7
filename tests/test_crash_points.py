"""Crash points: each stands at one place in the programs, is safe while off, and kills once when armed."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from mpesa_balance.crash_points import CrashPoint, crash_at
from ops.stack.programs import CHECKOUT

PASS = "from mpesa_balance.crash_points import *; crash_at(CrashPoint.REQUEST_NOT_RUNG); print('alive')"


def passing(directory: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (sys.executable, "-c", PASS),
        env={**os.environ, "CRASH_POINTS_DIR": str(directory)},
        capture_output=True,
        text=True,
    )


def test_each_stands_at_one_place() -> None:
    code = "".join(
        path.read_text() for room in ("worker", "webhooks") for path in (CHECKOUT / room).glob("*.py")
    )
    placed = re.findall(r"crash_at\(CrashPoint\.(\w+)\)", code)
    assert sorted(placed) == sorted(point.name for point in CrashPoint)


def test_off_it_does_nothing() -> None:
    for point in CrashPoint:
        crash_at(point)


def test_armed_it_kills_as_often_as_it_is_armed_and_no_other_point(tmp_path: Path) -> None:
    (tmp_path / "request-not-rung.1").touch()
    (tmp_path / "request-not-rung.2").touch()
    (tmp_path / "request-not-committed.1").touch()
    assert [passing(tmp_path).returncode for _ in range(3)] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["request-not-committed.1"]
