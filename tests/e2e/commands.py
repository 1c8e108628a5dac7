"""Running one command as a user does, and reading what it says when it refuses.

Each command is a process of its own, with its own environment, folder and streams, but forked from one
that has imported it already: importing it anew for each takes ten times as long as most commands do.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["mpesa_balance.cli.main", "mpesa_balance.client", "tests.e2e.commands"])

#: How long a command may take, in seconds.
_PATIENCE = 60


def run(
    environment: Mapping[str, str], *arguments: str, folder: Path = Path("/"), typed: str = ""
) -> "subprocess.CompletedProcess[str]":
    """The command in a folder where no stack runs."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    with tempfile.TemporaryDirectory() as name:
        streams = [Path(name) / stream for stream in ("stdin", "stdout", "stderr")]
        streams[0].write_text(typed)
        process = _FORKING.Process(
            target=_command, args=({**inherited, **environment}, arguments, folder, streams)
        )
        process.start()
        process.join(_PATIENCE)
        assert process.exitcode is not None, f"{arguments} did not end within {_PATIENCE} s"
        said, complained = (stream.read_text(errors="surrogateescape") for stream in streams[1:])
    return subprocess.CompletedProcess(arguments, process.exitcode, said, complained)


def _command(
    environment: Mapping[str, str], arguments: tuple[str, ...], folder: Path, streams: list[Path]
) -> None:
    """What the process does: become the command."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in enumerate(streams):
        os.dup2(os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT), number)
    sys.stdin = os.fdopen(0)
    sys.argv = ["mpesa-balance", *arguments]

    from mpesa_balance.cli.main import main

    main()


def refusal(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The one line on standard error of a command that ended so."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr
