"""Which TCP port each program of a stack gets: the usual one where it is free, else any.

A claim lasts as long as the stack: the webhook server shares its port with whoever asks for it too
(SO_REUSEPORT), so two stacks that start at once would otherwise take each other's callbacks.
"""

import fcntl
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from mpesa_balance.errors import MpesaBalanceError


def claim(usual: int, held: ExitStack, *, wanted: int = 0) -> int:
    """A port for this stack alone, for as long as `held` is open; the one that is wanted, or none."""
    for port in (wanted,) if wanted else (usual, *(free_port() for _ in range(10))):
        lock = _locked(port)
        if lock is not None:
            held.enter_context(lock)
            if _is_free(port):
                return port
    taken = f"port {wanted} is taken" if wanted else "no TCP port is free on 127.0.0.1"
    raise MpesaBalanceError(f"{taken}: choose another, or stop what listens there")


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # What a connection left behind in TIME_WAIT does not matter; a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _locked(port: int) -> IO[str] | None:
    try:
        lock = (Path(tempfile.gettempdir()) / f"mpesa-balance-port-{port}.lock").open("a")
    except OSError:
        # Another user's stack has it, or had it once.
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
