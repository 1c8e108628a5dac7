"""The servers that are compared: how each is started on one port."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_PYTHON: Final = (sys.executable, "-m")

#: What makes granian hold thousands of connections: both limits count those, not requests.
_MANY: Final = ("--backlog", "4096", "--backpressure", "4096", "--http1-header-read-timeout", "10000")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One server with its options."""

    name: str
    distributions: tuple[str, ...]
    command: Callable[[int], tuple[str, ...]]


def _granian(interface: str, target: str, *options: str) -> Callable[[int], tuple[str, ...]]:
    return lambda port: (
        *(*_PYTHON, "granian", "--interface", interface, "--host", "127.0.0.1", "--port", str(port)),
        *("--http", "1", "--no-ws", "--log-level", "warning", "--workers", "1", *options),
        f"ops.bench.target:{target}",
    )


def _granian_async(interface: str, target: str) -> Callable[[int], tuple[str, ...]]:
    # The other task implementation, rust, cannot cancel: a deadline would never fire in it.
    return _granian(interface, target, *_MANY, "--loop", "uvloop", "--task-impl", "asyncio")


def _uvicorn(target: str, *options: str) -> Callable[[int], tuple[str, ...]]:
    return lambda port: (
        *(*_PYTHON, "uvicorn", "--host", "127.0.0.1", "--port", str(port), "--backlog", "4096"),
        *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--log-level", "warning"),
        *("--no-access-log", "--timeout-graceful-shutdown", "10", *options, f"ops.bench.target:{target}"),
    )


def _gunicorn(*options: str) -> Callable[[int], tuple[str, ...]]:
    return lambda port: (
        *(*_PYTHON, "gunicorn", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"),
        *("--backlog", "4096", "--graceful-timeout", "10", "--keep-alive", "10", "--no-control-socket"),
        *("--worker-connections", "4096", *options, "ops.bench.target:wsgi"),
    )


def _waitress(port: int) -> tuple[str, ...]:
    return (
        *(*_PYTHON, "waitress", "--listen", f"127.0.0.1:{port}", "--threads=8", "--channel-timeout=10"),
        *("--cleanup-interval=2", "--max-request-body-size=65536", "--connection-limit=4096"),
        *("--backlog=4096", "--asyncore-use-poll", "ops.bench.target:wsgi"),
    )


def _cheroot(port: int) -> tuple[str, ...]:
    return (
        *(*_PYTHON, "cheroot", "--bind", f"127.0.0.1:{port}", "--threads", "8", "--timeout", "10"),
        *("--request-queue-size", "4096", "ops.bench.target:wsgi"),
    )


#: How the webhook tier was served before this was measured; the others are compared with it.
BEFORE: Final = "granian wsgi, 4 threads"

_UVICORN: Final = ("uvicorn", "httptools", "uvloop")

CANDIDATES: Final = (
    Candidate(
        BEFORE,
        ("granian",),
        _granian("wsgi", "wsgi", "--blocking-threads", "4", "--backpressure", "64"),
    ),
    Candidate(
        "granian wsgi, 256 threads",
        ("granian",),
        _granian("wsgi", "wsgi", "--blocking-threads", "256", *_MANY),
    ),
    Candidate("granian asgi, asgiref", ("granian", "asgiref"), _granian_async("asgi", "asgiref")),
    Candidate("granian asgi, a2wsgi", ("granian", "a2wsgi"), _granian_async("asgi", "a2wsgi")),
    Candidate("granian asgi, own bridge", ("granian", "uvloop"), _granian_async("asgi", "bridge")),
    Candidate("granian rsgi, own bridge", ("granian", "uvloop"), _granian_async("rsgi", "rsgi")),
    # Without its option asgiref answers a second request on a connection with 500, when it comes soon.
    Candidate("uvicorn, asgiref", (*_UVICORN, "asgiref"), _uvicorn("asgiref", "--reset-contextvars")),
    Candidate("uvicorn, own bridge", _UVICORN, _uvicorn("bridge")),
    Candidate("waitress, 8 threads", ("waitress",), _waitress),
    Candidate(
        "gunicorn gthread, 2x8",
        ("gunicorn",),
        _gunicorn("--worker-class", "gthread", "--workers", "2", "--threads", "8"),
    ),
    Candidate("gunicorn gevent, 1 worker", ("gunicorn", "gevent"), _gunicorn("--worker-class", "gevent")),
    Candidate("cheroot, 8 threads", ("cheroot",), _cheroot),
)
