"""How the peers are started: the servers and workers that their docs name, two processes each."""

import sys
from typing import Final

_PYTHON: Final = (sys.executable, "-m")

#: The queue that Celery uses where none is named.
QUEUE: Final = "celery"


def uvicorn(port: int) -> tuple[str, ...]:
    """The inline peer."""
    return (
        *(*_PYTHON, "uvicorn", "--host", "127.0.0.1", "--port", str(port), "--workers", "2"),
        *("--loop", "uvloop", "--http", "httptools", "--log-level", "warning", "--no-access-log"),
        "ops.bench.peers.inline:app",
    )


def granian(port: int, module: str) -> tuple[str, ...]:
    """A Flask application of a peer, on the server that ours is on, through its WSGI interface."""
    return (
        *(*_PYTHON, "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "2", "--http", "1", "--no-ws", "--log-level", "warning"),
        # Measured: its own default, 256 of them, answers a third less often, and 1 or 16 as often.
        *("--blocking-threads", "4"),
        f"ops.bench.peers.{module}:wsgi",
    )


def celery(module: str, pool: str = "prefork") -> tuple[str, ...]:
    """A worker of a peer: two processes, or two threads."""
    return (
        *(*_PYTHON, "celery", "--quiet", "-A", f"ops.bench.peers.{module}", "worker"),
        # As with ours: gossip between workers would need more rights in Redis, and one worker has none.
        *("--concurrency", "2", "--pool", pool, "--without-gossip"),
    )
