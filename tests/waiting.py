"""Waiting for what another thread or process does: asked again and again, for a bounded time."""

import threading
import time
from collections.abc import Callable
from typing import Any

import requests


def eventually(check: Any, seconds: float = 30.0, every: float = 0.02) -> Any:
    """What `check` gives as soon as that is true, asked `every` so many seconds; fails when it is not."""
    ends = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < ends, f"{check} did not become true within {seconds} s"
        threading.Event().wait(every)
    return value


def quickest(act: Callable[[], object], enough: float, tries: int = 3) -> float:
    """How long something takes at its quickest, in seconds: the machine may stall in any one of its tries.

    enough: what is good enough to try no more.
    """
    taken: list[float] = []
    while len(taken) < tries and min(taken, default=enough) >= enough:
        begun = time.monotonic()
        act()
        taken.append(time.monotonic() - begun)
    return min(taken)


def is_answered(url: str) -> bool:
    """Whether a server is well there: not while it starts, which is refused or left without an answer."""
    try:
        return requests.get(url, timeout=10).ok
    except requests.RequestException:
        return False
