"""The pulse of a worker: its heartbeat, written again and again by the thread that watches it."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mpesa_balance import heartbeats, logs
from mpesa_balance.heartbeats import SHORTEST_PATIENCE, Heartbeat

logger = logs.get_logger(__name__)

#: So many intervals of canaries without a heartbeat, or without a canary, are too many.
_PATIENCE: Final = 4


class Pulse:
    """Writes heartbeats. One that cannot be written stops no worker, and is told once."""

    def __init__(self, directory: Path, name: str, canary_interval: int) -> None:
        self._directory = directory
        self._name = name
        self._interval = canary_interval
        self._began_at = datetime.now(UTC)
        self._canary_at: datetime | None = None
        self._canaries = 0
        self._is_failing = False

    def beat(self, canaries: int) -> None:
        """Say that the worker lives, and has taken so many canaries since it began."""
        now = datetime.now(UTC)
        if canaries > self._canaries:
            self._canaries, self._canary_at = canaries, now
        try:
            heartbeats.write(self._directory, self._heartbeat(now))
        except OSError as error:
            if not self._is_failing:
                message = "make HEALTH_DIR a directory that this user may write to: probes see no heartbeat"
                logger.warning("heartbeat_not_written", reason=str(error), message=message)
            self._is_failing = True
        else:
            self._is_failing = False

    def _heartbeat(self, now: datetime) -> Heartbeat:
        return Heartbeat(
            name=self._name,
            process=os.getpid(),
            beat_at=now,
            began_at=self._began_at,
            canary_at=self._canary_at,
            # A broker that hangs keeps the thread for some twenty seconds at a time.
            stale_after=max(_PATIENCE * self._interval, SHORTEST_PATIENCE),
            # A canary is sent an interval after the one before, and seen at the next turn.
            deaf_after=max((_PATIENCE + 1) * self._interval, SHORTEST_PATIENCE),
        )
