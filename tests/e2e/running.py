"""The whole system as a user starts it: `mpesa-balance up`, in processes of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from dotenv import dotenv_values

from ops.stack.state import ENV_FILE, MARK
from tests.waiting import eventually

COMMAND = (sys.executable, "-m", "mpesa_balance.cli")

#: Tests ask for the same shortcode again at once.
AT_ONCE = {"MINIMUM_INTERVAL_SECONDS": "0"}


@dataclass(frozen=True)
class Stack:
    """A stack that runs, or has run."""

    state_dir: Path
    process: "subprocess.Popen[bytes]"

    @property
    def env(self) -> dict[str, str]:
        """What the stack tells of itself."""
        return {name: value or "" for name, value in dotenv_values(self.state_dir / ENV_FILE).items()}

    @property
    def log(self) -> str:
        return (self.state_dir / "up.log").read_text(errors="replace")

    def command(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the command as somebody beside the stack does."""
        return subprocess.run(
            (*COMMAND, "--env-file", str(self.state_dir / ENV_FILE), *arguments),
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=90,
        )

    def query(self, *arguments: str) -> dict[str, Any]:
        """Ask, wait, and give the answer; the exit code must fit it."""
        done = self.command("query", "600000", "--wait", "--json", "--timeout", "60", *arguments)
        answer: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if answer["state"] == "completed" else 3), done.stderr
        return answer

    def processes(self) -> list[psutil.Process]:
        """Everything that belongs to the stack, its own process left out."""
        # Read at once, because one may end meanwhile.
        return [one for one in psutil.process_iter(("name", "cmdline")) if self._owns(one)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            marked = process.environ().get(MARK) == str(self.state_dir.resolve())
            named = [process.cwd(), *process.cmdline()]
            return marked or any(str(self.state_dir.resolve()) in text for text in named)
        except psutil.Error:
            return False

    def one(self, *words: str) -> psutil.Process:
        """The oldest process whose command line holds all of these words."""
        found = [one for one in self.processes() if set(words) <= set(one.info["cmdline"])]
        return min(found, key=lambda one: one.create_time())

    def interrupt(self) -> int:
        """Ctrl-C, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one that ended and that nobody has waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start(state_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Stack:
    """Start a stack; it is not ready yet."""
    state_dir.mkdir(exist_ok=True)
    with (state_dir / "up.log").open("ab") as log:
        process = subprocess.Popen(
            (*COMMAND, "up", "--state-dir", str(state_dir), *arguments),
            env={**os.environ, **AT_ONCE, **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Stack(state_dir, process)


@contextmanager
def running(
    state_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """A stack that is ready."""
    # A stack that was killed left its own file behind.
    (state_dir / ENV_FILE).unlink(missing_ok=True)
    stack = start(state_dir, *arguments, environment=environment)
    try:
        # The stack itself gives up after two minutes, and may first have had to end what another one left.
        eventually(lambda: stack.env or stack.process.poll() is not None, seconds=240)
        assert stack.env, stack.log
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.interrupt()
