"""What processes have used, by the operating system: CPU seconds and memory of whole trees."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it; nothing where it has ended."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system seconds of these trees so far, of children too that have ended."""
    return sum(_used(process) for pid in pids for process in tree(pid))


def _used(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        # What a child has used that has ended is told by its parent from when it was waited for.
        ended = times.children_user + times.children_system
        return float(times.user + times.system + ended)
    return 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds by part of a system, such as its workers or Postgres."""

    seconds: Mapping[str, float]

    @classmethod
    def of(cls, parts: Mapping[str, Iterable[int]]) -> "Usage":
        """What the trees of each part have used so far."""
        return cls({name: cpu_seconds(pids) for name, pids in parts.items()})

    def since(self, earlier: "Usage") -> "Usage":
        """What was used in between."""
        return Usage({name: used - earlier.seconds.get(name, 0.0) for name, used in self.seconds.items()})

    def numbers(self, count: int) -> dict[str, float]:
        """Milliseconds for each of `count` things: all of them, and those of each part."""
        each = {f"CPU ms, {name}": used * 1000 / count for name, used in self.seconds.items()}
        return {"CPU ms": sum(each.values()), **each}
