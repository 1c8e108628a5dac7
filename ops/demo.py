"""The demo: the whole system up, one balance asked for and printed, everything down again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from mpesa_balance.cli.main import main as command
from mpesa_balance.errors import MpesaBalanceError
from ops.stack.state import ENV_FILE
from ops.stack.up import DEMO_SHORTCODE

_LOG: Final = "demo.log"


def demo(state_dir: Path, *, json_output: bool = False) -> None:
    """Print a balance that went through every real part. Raises MpesaBalanceError and says why not."""
    progress = Console(stderr=True, highlight=False)
    state_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
    env_file = state_dir / ENV_FILE
    stale = _written_at(env_file)
    with _stack(state_dir) as process:
        progress.print("Bringing up Postgres, Redis, the workers, the webhooks and the simulator ...")
        with progress.status("a few seconds"):
            _wait_for(env_file, stale, process, state_dir / _LOG)
        progress.print(f"The system is up. Asking for the balance of {DEMO_SHORTCODE}:")
        arguments = [
            "--env-file",
            str(env_file),
            "query",
            DEMO_SHORTCODE,
            "--wait",
            "--timeout",
            "60",
            "--force",
        ]
        arguments += ["--json"] if json_output else []
        status = command.main(arguments, standalone_mode=False)
    if status:
        raise MpesaBalanceError(f"the query gave no balance: {state_dir / _LOG} tells what happened")
    progress.print("Everything is stopped. `make up` runs it until Ctrl-C.")


@contextmanager
def _stack(state_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    up = [sys.executable, "-m", "mpesa_balance.cli", "up", "--state-dir", str(state_dir)]
    with (state_dir / _LOG).open("wb") as log:
        process = subprocess.Popen(
            up,
            # Its end is shown to a person where the stack does not come up.
            env={"LOG_FORMAT": "console", **os.environ},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _written_at(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.exists() else None


def _wait_for(env_file: Path, stale: int | None, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the stack tells where it is. Its own readiness check bounds the time."""
    while process.poll() is None:
        # A stack that was killed may have left its file; the new one is newer.
        if _written_at(env_file) not in (None, stale):
            return
        time.sleep(0.1)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise MpesaBalanceError(f"the stack did not come up. The end of {log}:\n{last}")
