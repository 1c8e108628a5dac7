"""Running one command as a user does, and reading what it says when it refuses."""

import os
import subprocess
from pathlib import Path

from tests.e2e.running import COMMAND


def run(
    environment: dict[str, str], *arguments: str, folder: Path = Path("/"), typed: str = ""
) -> "subprocess.CompletedProcess[str]":
    """The command in a folder where no stack runs."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        (*COMMAND, *arguments),
        env={**inherited, **environment},
        cwd=folder,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )


def refusal(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The one line on standard error of a command that ended so."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr
