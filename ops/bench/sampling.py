"""Looking at a system now and then while it works: how far it is, and how much memory it holds."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import psutil

from ops.bench.accounting import tree
from ops.bench.figures.figure import Line
from ops.bench.rounds import Round

#: Gives some values by name.
Look = Callable[[], Mapping[str, float]]


@contextmanager
def sampled(look: Look, every: float) -> Iterator[dict[str, Line]]:
    """What `look` gives every so many seconds, as lines that grow for as long as this lasts."""
    lines: dict[str, Line] = {}
    over = threading.Event()
    began = time.monotonic()

    def watch() -> None:
        while not over.is_set():
            for name, value in look().items():
                lines.setdefault(name, []).append((time.monotonic() - began, value))
            over.wait(every)

    watching = threading.Thread(target=watch, name="sampler", daemon=True)
    watching.start()
    try:
        yield lines
    finally:
        over.set()
        watching.join()


class Memory:
    """The resident memory of each process of a system, in MiB. A child that is replaced keeps its name."""

    def __init__(self, running: Round) -> None:
        self._running = running
        self._slots: dict[str, list[int]] = {}

    def look(self) -> dict[str, float]:
        """By name, such as "webhooks 1"; the first of a part is its main process."""
        found: dict[str, float] = {}
        for part, roots in self._running.parts.items():
            there = {process.pid: process for root in roots for process in tree(root)}
            for number, pid in enumerate(self._placed(part, list(there))):
                with suppress(psutil.NoSuchProcess, KeyError):
                    found[f"{part} {number}"] = there[pid].memory_info().rss / 2**20
        return found

    def _placed(self, part: str, pids: list[int]) -> list[int]:
        """Each process in the place that it had, new ones in the places of those that have ended."""
        slots = self._slots.setdefault(part, [])
        new = [pid for pid in pids if pid not in slots]
        for place, pid in enumerate(slots):
            if pid not in pids and new:
                slots[place] = new.pop(0)
        slots += new
        return slots
