"""What the gateway lets through: spike arrest, a quota, and hours of maintenance."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from ops.simulator.answers import MAINTENANCE, QUOTA, SPIKE_ARREST, Answer

#: The length of the window that slides, in seconds.
_WINDOW: Final = 1.0


class Limits:
    """Counts the queries that it lets through; those that it refuses do not count.

    `per_second` in any sliding second, and `quota` until the quota is set again; None is no limit.
    """

    def __init__(
        self,
        per_second: int | None = None,
        quota: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {"per_second": per_second, "quota": quota}
        self._clock = clock
        self._recent: deque[float] = deque()
        self._used = 0
        self._maintained_until = clock()
        self._lock = threading.Lock()

    def refusal(self) -> Answer | None:
        """Why the query that has just come is refused, or None, and then it is counted."""
        with self._lock:
            now = self._clock()
            if now < self._maintained_until:
                return MAINTENANCE
            while self._recent and self._recent[0] <= now - _WINDOW:
                self._recent.popleft()
            if _reached(self._limits["per_second"], len(self._recent)):
                return SPIKE_ARREST
            if _reached(self._limits["quota"], self._used):
                return QUOTA
            self._recent.append(now)
            self._used += 1
        return None

    def change(self, limits: Mapping[str, int | None]) -> None:
        """Set `per_second`, `quota` or both. A quota that is set is unused."""
        with self._lock:
            self._limits |= limits
            if "quota" in limits:
                self._used = 0

    def maintain(self, seconds: float) -> None:
        """Refuse everything from now on for so long; 0 ends it."""
        with self._lock:
            self._maintained_until = self._clock() + seconds

    def document(self) -> dict[str, int | None]:
        """The limits, and how much of the quota is used."""
        with self._lock:
            return {**self._limits, "used": self._used}


def _reached(limit: int | None, count: int) -> bool:
    return limit is not None and count >= limit
