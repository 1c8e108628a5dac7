"""How the processes of one program count together, and how Prometheus is told what they have counted.

Each process counts in files of its own (the multiprocess mode of prometheus_client), in a directory that
all processes of its program share. The files belong to slots: a process takes the first slot that nobody
holds, so that one that is started again goes on counting where the one before it ended, and there are
never more files than there were processes at one time.
"""

import errno
import fcntl
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Final

from prometheus_client import CollectorRegistry, start_http_server, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue

from mpesa_balance import logs
from mpesa_balance.settings import MetricsSettings

logger = logs.get_logger(__name__)

#: Where the directories of all programs are made; prometheus_client itself finds this program's in it.
VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

_PREFIX: Final = "mpesa-balance-metrics-"

#: What one process writes into each kind of file is a fraction of this, in KiB.
_SIZES: Final = {"counter": 128, "histogram": 256, "gauge_livesum": 4, "gauge_livemax": 4}

#: How often a process without the port tries to get it, in seconds.
_TRY_AGAIN_AFTER: Final = 3.0


class _Slot:
    """The name of this process among those that count in a directory: nobody else's while it lives."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = 0
        self._name = ""
        self._lock: IO[str] | None = None

    def __call__(self) -> str:
        # What was forked needs a slot of its own.
        if self._process != os.getpid():
            self._name, self._lock = self._taken()
            self._process = os.getpid()
        return self._name

    def _taken(self) -> tuple[str, IO[str]]:
        locks = ((str(number), _locked(self._directory / f"{number}.lock")) for number in count())
        return next((name, lock) for name, lock in locks if lock is not None)


class _Together:
    """What all processes of a program have counted, those that have ended included."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        """All metrics; gauges only of processes that live."""
        for path in self._directory.glob("*.lock"):
            lock = _locked(path)
            if lock is not None:
                mark_process_dead(path.stem, str(self._directory))  # type: ignore[no-untyped-call]
                lock.close()
        collector = MultiProcessCollector(None, str(self._directory))  # type: ignore[no-untyped-call]
        metrics: Iterable[Metric] = collector.collect()  # type: ignore[no-untyped-call]
        return metrics


class Exposition:
    """Serves what a program has counted, from a thread: that process of the program that has the port.

    collectors: what is asked at each scrape, beside what was counted.
    refresh: called every few seconds in every process; sets its gauges.
    """

    def __init__(
        self,
        settings: MetricsSettings,
        directory: Path,
        collectors: Sequence[Collector] = (),
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._refresh = refresh
        self._registry = CollectorRegistry()
        for collector in (_Together(directory), *collectors):
            self._registry.register(collector)

    def start(self) -> None:
        """Begin. A port that somebody else has is tried again and again: he may end."""
        threading.Thread(target=self._run, name="exposition", daemon=True).start()

    def _run(self) -> None:
        is_serving, told = False, None
        while True:
            try:
                is_serving = is_serving or self._serve()
            except OSError as error:
                if error.errno != told:
                    told = error.errno
                    # Where several processes serve one program, all but one of them come to this.
                    level = logging.INFO if told == errno.EADDRINUSE else logging.WARNING
                    reason = f"METRICS_HOST or METRICS_PORT cannot be used: {error}"
                    logger.log(level, "metrics_not_served", reason=reason)
            time.sleep(_TRY_AGAIN_AFTER)
            self._refresh()

    def _serve(self) -> bool:
        server, _ = start_http_server(self._settings.port, self._settings.host, self._registry)
        # A forked process that outlives this one must not keep the port from the next one.
        os.register_at_fork(after_in_child=server.socket.close)
        return True


def count_together(program: str, leader: int, forked: int = 0) -> Path | None:
    """Let this process, and what it forks, count together with the others of its program.

    They are told by `leader`, the process id that they have in common; `forked` says how many there will
    be of the others. Gives their directory, or None where there can be none: no program ends for that.
    Must come before anything is counted.
    """
    base = Path(os.environ.get(VARIABLE) or tempfile.gettempdir())
    directory = base / f"{_PREFIX}{program}-{leader}"
    try:
        _remove_those_of_the_dead(base)
        slot = _begin(directory, forked)
    except OSError as error:
        logger.warning("metrics_not_served", reason=f"no directory can be made in {VARIABLE}: {error}")
        return None
    os.environ[VARIABLE] = str(directory)
    values.ValueClass = MultiProcessValue(slot)  # type: ignore[no-untyped-call]
    return directory


def _begin(directory: Path, forked: int) -> _Slot:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it belongs to somebody else", str(directory))
    slot = _Slot(directory)
    with (directory / "beginning").open("a") as beginning:
        # One after the other: whoever finds nobody there clears what an earlier program has left.
        fcntl.flock(beginning, fcntl.LOCK_EX)
        if not _is_used(directory):
            for left in directory.glob("*.db"):
                left.unlink()
        own = int(slot())
    for number in range(own, own + forked + 1):
        _allocate(directory, number)
    return slot


def _allocate(directory: Path, number: int) -> None:
    """Make files as large as they will be: a disk that is full later would end their process (SIGBUS)."""
    for kind, size in _SIZES.items():
        path = directory / f"{kind}_{number}.db"
        if not path.exists():
            path.write_bytes(bytes(size * 1024))


def _is_used(directory: Path) -> bool:
    locks = [_locked(path) for path in directory.glob("*.lock")]
    for lock in locks:
        if lock is not None:
            lock.close()
    return None in locks


def _remove_those_of_the_dead(base: Path) -> None:
    for directory in base.glob(f"{_PREFIX}*"):
        leader = directory.name.rpartition("-")[2]
        if leader.isdecimal() and not _is_alive(int(leader)):
            # Another user's stays: it is his.
            shutil.rmtree(directory, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _locked(path: Path) -> IO[str] | None:
    """The file, locked until it is closed; None where somebody else has it."""
    lock = path.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
