"""Heartbeats: the file in which a worker says that it is alive and when it last took a message.

A file, because it can be read while the broker and Postgres are away. HEALTH_DIR holds one for each
worker of a host or a container.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

#: What a worker writes less often than this is not taken for late. In seconds.
SHORTEST_PATIENCE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a worker said of itself. Instants are aware; times are in seconds.

    beat_at: when it was written. began_at: when the worker began.
    canary_at: when its last canary came home; None for none yet.
    stale_after: how old a heartbeat of a live worker may be. deaf_after: how old its canary may be.
    """

    name: str
    process: int
    beat_at: datetime
    began_at: datetime
    canary_at: datetime | None
    stale_after: int
    deaf_after: int

    def is_stale(self, now: datetime) -> bool:
        """Whether whoever wrote it has stopped, or hangs."""
        return (now - self.beat_at).total_seconds() > self.stale_after

    def is_deaf(self, now: datetime) -> bool:
        """Whether it has taken no message for longer than it takes to send one and take it."""
        return (now - (self.canary_at or self.began_at)).total_seconds() > self.deaf_after


def write(directory: Path, heartbeat: Heartbeat) -> None:
    """Leave the heartbeat in the directory, instead of the one before. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = {name: _text(value) for name, value in asdict(heartbeat).items()}
    # A new file with a name that nobody can foresee: the directory may be one that others write to.
    descriptor, draft = tempfile.mkstemp(dir=directory)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file)
    Path(draft).replace(_path(directory, heartbeat.name))


def read(directory: Path, name: str) -> Heartbeat | None:
    """The last heartbeat of a worker; None where there is none that can be read."""
    try:
        found = json.loads(_path(directory, name).read_text())
        return Heartbeat(
            name=name,
            process=found["process"],
            beat_at=datetime.fromisoformat(found["beat_at"]),
            began_at=datetime.fromisoformat(found["began_at"]),
            canary_at=datetime.fromisoformat(found["canary_at"]) if found["canary_at"] else None,
            stale_after=found["stale_after"],
            deaf_after=found["deaf_after"],
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _path(directory: Path, name: str) -> Path:
    return directory / f"{quote(name, safe='@')}.json"


def _text(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
