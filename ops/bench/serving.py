"""Running one candidate: its processes, its port, the CPU time that it used and its end."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psutil

from ops.bench.candidates import Candidate
from ops.bench.target import KEPT
from ops.bench.wire import exchange, post
from ops.stack.ports import free_port

_PROBE: Final = post()


@dataclass(frozen=True, slots=True)
class Server:
    """A candidate that runs."""

    port: int
    process: Process
    state: Path

    def cpu_seconds(self) -> float:
        """What its processes have used so far."""
        times = [process.cpu_times() for process in _tree(self.process.pid)]
        return sum(time.user + time.system for time in times)

    def megabytes(self) -> float:
        """The resident memory of its processes, in MiB."""
        return sum(process.memory_info().rss for process in _tree(self.process.pid)) / 2**20

    def kept(self) -> list[int]:
        """How long the bodies were that the view on /kept took for whole."""
        return [int(line) for line in (self.state / "kept").read_text().split()]

    async def seconds_to_stop(self, patience: float) -> float | None:
        """How long it takes to end after a SIGTERM, or None if it is still there after `patience`."""
        began = time.monotonic()
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), patience)
        except TimeoutError:
            return None
        return time.monotonic() - began


@asynccontextmanager
async def serving(
    candidate: Candidate, settings: Mapping[str, str] | None = None, probe: bytes = _PROBE
) -> AsyncIterator[Server]:
    """The candidate, from when it answers the probe with 200 until it is killed."""
    port = free_port()
    with TemporaryDirectory(prefix="bench-") as folder, (Path(folder) / "log").open("w") as log:
        kept = Path(folder) / "kept"
        kept.touch()
        environment = {**os.environ, **(settings or {}), KEPT: str(kept)}
        process = await asyncio.create_subprocess_exec(
            *candidate.command(port), env=environment, stdout=log, stderr=log
        )
        family = _tree(process.pid)
        try:
            await _answers(candidate, port, process, probe)
            family = _tree(process.pid)
            yield Server(port, process, Path(folder))
        finally:
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            await process.wait()


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


async def _answers(candidate: Candidate, port: int, process: Process, probe: bytes) -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends and process.returncode is None:
        with suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(2):
                if await exchange(port, probe) == 200:
                    return
        await asyncio.sleep(0.05)
    sys.exit(f"{candidate.name} does not serve")
