"""Races of a test's own making: several that begin at one moment."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")


def at_once(act: Callable[[Given], Found], given: Sequence[Given]) -> list[Found]:
    """What `act` gives for each, in their order; none begins before there is a thread for all."""
    together = threading.Barrier(len(given))

    def begin(one: Given) -> Found:
        together.wait()
        return act(one)

    with ThreadPoolExecutor(len(given)) as threads:
        return list(threads.map(begin, given))
