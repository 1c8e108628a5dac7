"""One round of one system: its folder on the disk, its programs, and what it has used."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psutil
import requests
from celery import Celery
from kombu.exceptions import OperationalError

from mpesa_balance.errors import MpesaBalanceError
from ops.bench.accounting import Usage, tree
from ops.bench.stores import Stores, stores
from ops.stack.programs import CHECKOUT

#: Where rounds keep their data: a real disk, because what is measured waits for it.
DISK: Final = CHECKOUT / ".state" / "bench"

#: How long a program may take to be ready, in seconds.
_PATIENCE: Final = 60.0


@dataclass(slots=True)
class Round:
    """What runs in one round. Everything ends with it."""

    folder: Path
    stores: Stores
    held: ExitStack
    #: The process ids of the system's programs, by the part that they are accounted under.
    parts: dict[str, list[int]] = field(default_factory=dict)

    def start(
        self, part: str, command: tuple[str, ...], settings: Mapping[str, str], counts: bool = True
    ) -> int:
        """Start a program and give its process id. Its output is in <part>.log in the round's folder."""
        log = self.held.enter_context((self.folder / f"{part}.log").open("ab"))
        with _told_to_stop_later():
            process = subprocess.Popen(
                command, cwd=CHECKOUT, env={**os.environ, **settings}, stdout=log, stderr=log
            )
            self.held.callback(_kill, process)
        if counts:
            self.parts.setdefault(part, []).append(process.pid)
        return process.pid

    def usage(self) -> Usage:
        """What the system has used so far: its programs, and both servers each by itself."""
        return Usage.of({**self.parts, **self.stores.pids()})

    def wait_for_page(self, port: int, path: str = "/") -> None:
        """Return when a server answers, whatever it says."""
        self._wait(f"the server on port {port}", lambda: _answers(f"http://127.0.0.1:{port}{path}"))

    def wait_for_workers(self, count: int) -> None:
        """Return when so many Celery workers answer."""
        with Celery(broker=self.stores.broker_url, set_as_current=False) as app:
            self._wait(f"{count} workers", lambda: _pinged(app) >= count)

    def _wait(self, what: str, is_there: Callable[[], bool]) -> None:
        if not patiently(is_there, 0.1, _PATIENCE):
            logs = "\n".join(path.read_text()[-2000:] for path in self.folder.glob("*.log"))
            raise MpesaBalanceError(f"{what} did not become ready within {_PATIENCE:.0f} s:\n{logs}")


@contextmanager
def new_round(*, commit_times: bool = False) -> Iterator[Round]:
    """An empty folder with fresh servers, the same for every system of a figure.

    commit_times: whether Postgres remembers when each transaction was committed.
    """
    DISK.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="round-", dir=DISK) as name, ExitStack() as held:
        folder = Path(name)
        # The embedded Postgres is another user when root starts it, and must pass through.
        folder.chmod(0o711)
        made = held.enter_context(stores(folder, commit_times=commit_times))
        yield Round(folder, made, held)


def patiently(is_over: Callable[[], bool], beat: float, patience: float) -> bool:
    """Ask every `beat` seconds until it is over; False where that takes longer than `patience`."""
    ends = time.monotonic() + patience
    while not (over := is_over()) and time.monotonic() < ends:
        time.sleep(beat)
    return over


def until_it_stalls(
    about: Callable[[], float], exactly: Callable[[], float], target: float, patience: float
) -> None:
    """Return when so much is done, or when nothing more was done for so many seconds.

    about, exactly: how much is done; the second is asked where the first, which is late, stands still.
    """
    reached, since = about(), time.monotonic()
    while reached < target and time.monotonic() - since < patience:
        time.sleep(0.5)
        now = about()
        if now <= reached:
            now = exactly()
        if now > reached:
            reached, since = now, time.monotonic()


@contextmanager
def _told_to_stop_later() -> Iterator[None]:
    """What has begun to exist must be known to whoever ends it, before SIGTERM raises here."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for number in told:
            signal.raise_signal(number)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    # All at once, and its children too: nothing of a round is worth ending in order.
    for member in tree(process.pid):
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def _answers(address: str) -> bool:
    with suppress(requests.RequestException):
        return bool(requests.get(address, timeout=2).status_code)
    return False


def _pinged(app: Celery) -> int:
    with suppress(OperationalError):
        return len(app.control.ping(timeout=0.5) or ())
    return 0
