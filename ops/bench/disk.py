"""What a commit costs on a disk: the bare fdatasync, and the spool's own transaction."""

import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil

from mpesa_balance.deliveries import Delivery
from ops.bench.load import Latencies
from webhooks.spool import Spool

#: How often each is done.
_TIMES: Final = 300


def commits(directory: Path) -> dict[str, Latencies]:
    """How long each kind of write takes until it is on the disk."""
    spool = Spool(directory / "commits.sqlite")
    found = {"4 KiB appended and fdatasync": _appends(directory / "appended")}
    for size in (1, 8, 32):
        batch = [_delivery() for _ in range(size)]
        found[f"SQLite, {size} in a commit"] = _timed(lambda batch=batch: spool.write(batch))  # type: ignore[misc]
    spool.close()
    return found


def file_system(directory: Path) -> str:
    """What holds a directory, such as "ext4"."""
    parts = [one for one in psutil.disk_partitions(all=True) if directory.is_relative_to(one.mountpoint)]
    return max(parts, key=lambda one: len(one.mountpoint)).fstype if parts else "unknown"


def _appends(path: Path) -> Latencies:
    block = secrets.token_bytes(4096)
    with path.open("ab", buffering=0) as file:

        def append() -> None:
            file.write(block)
            os.fdatasync(file.fileno())

        return _timed(append)


def _timed(write: Callable[[], None]) -> Latencies:
    taken = Latencies()
    for _ in range(_TIMES):
        began = time.monotonic()
        write()
        taken.seconds.append(time.monotonic() - began)
    return taken


def _delivery() -> Delivery:
    return Delivery(
        attempt_id=uuid4(),
        kind="result",
        digest=secrets.token_bytes(32),
        payload=secrets.token_bytes(1200),
        address="127.0.0.1",
        received_at=datetime.now(UTC),
    )
