"""The programs of the stack: how each is started on one machine, and how long it may take to stop."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mpesa_balance.contract import (
    CALLBACKS_QUEUE,
    MAINTENANCE_QUEUE,
    REQUESTS_QUEUE,
    SUBMISSIONS_QUEUE,
)

#: The programs that tell Prometheus of themselves, and where, in that order, if nobody else is there.
EXPOSING: Final = {"webhooks": 9464, "callbacks": 9465, "submissions": 9466}

#: The folder that holds worker/, webhooks/ and ops/: the programs run from there.
CHECKOUT: Final = Path(__file__).resolve().parent.parent.parent

_CELERY: Final = (sys.executable, "-m", "celery", "--quiet", "-A", "worker.app")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where each program of the stack listens, on loopback."""

    webhooks: int
    flower: int
    console: int
    redis: int
    simulator: int
    #: Where the webhook tier and each worker tell Prometheus of themselves, by the program's name.
    metrics: Mapping[str, int] = field(default_factory=dict)

    def settings_of(self, program: str) -> dict[str, str]:
        """The program's own settings: no two of one host may tell of themselves on one port."""
        return {"METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(self.metrics.get(program, 0))}


@dataclass(frozen=True, slots=True)
class Program:
    """One process to run. Secrets are in its environment, never in its command line."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    #: How long it may finish what it has begun, in seconds.
    patience: int = 10


def programs(
    state: Path, ports: Ports, *, simulated: bool, webhooks_broker_url: str | None = None
) -> Iterator[Program]:
    """All programs that stand on Postgres and Redis.

    webhooks_broker_url: the webhook tier's own address of the broker; None where it has that of all.
    """
    if simulated:
        yield Program(
            "simulator",
            (
                *(sys.executable, "-m", "mpesa_balance.cli", "simulator"),
                *("--port", str(ports.simulator), "--key-file", str(state / "simulator.pem")),
            ),
        )
    # Longer than a slow sender may take for a body.
    own = ports.settings_of("webhooks")
    if webhooks_broker_url:
        own["BROKER_URL"] = webhooks_broker_url
    yield Program("webhooks", webhooks_command(ports.webhooks, processes=2), own, patience=15)
    queues = (CALLBACKS_QUEUE, REQUESTS_QUEUE, MAINTENANCE_QUEUE)
    yield worker("callbacks", queues, 2, ports.settings_of("callbacks"))
    yield worker("submissions", (SUBMISSIONS_QUEUE,), 4, ports.settings_of("submissions"))
    schedule = str(state / "beat-schedule")
    yield Program("beat", (*_CELERY, "beat", "--schedule", schedule, "--pidfile="))
    yield Program("console", console_command(ports.console))
    yield Program(
        "flower",
        (*_CELERY, "flower", "--address=127.0.0.1", f"--port={ports.flower}", "--logging=warning"),
    )


def console_command(port: int) -> tuple[str, ...]:
    """The console under gunicorn; how it serves is in ops/console/server.py."""
    config = ("--config", "python:ops.console.server")
    return (sys.executable, "-m", "gunicorn", *config, "--bind", f"127.0.0.1:{port}")


def worker(
    name: str, queues: tuple[str, ...], processes: int, settings: Mapping[str, str] | None = None
) -> Program:
    """A Celery worker for some of the queues."""
    command = (*_CELERY, "worker", "--hostname", f"{name}@%h", "--queues", ",".join(queues))
    # Gossip and mingle are talk between workers that nothing here needs.
    quiet = ("--concurrency", str(processes), "--without-gossip", "--without-mingle")
    return Program(name, command + quiet, dict(settings or {}), patience=30)


def webhooks_command(port: int, processes: int = 1) -> tuple[str, ...]:
    """The webhook tier under granian."""
    return (
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--factory"),
        *("--host", "127.0.0.1", "--port", str(port), "--http", "1", "--no-ws", "--log-level", "warning"),
        *("--log-config", str(CHECKOUT / "webhooks" / "granian-logging.json")),
        # Each has a socket of its own: while one is started again after a crash, another one listens.
        *("--workers", str(processes), "--respawn-failed-workers", "--respawn-interval", "0.5"),
        # This counts connections, idle ones too: a few slow senders must not be all that it takes.
        *("--backlog", "2048", "--backpressure", "2048"),
        # Headers that do not end are cut off. So are idle connections: a proxy must give them up sooner.
        *("--http1-header-read-timeout", "10000"),
        # The other implementation cannot cancel, and the deadline of a body would never come.
        *("--task-impl", "asyncio"),
        "webhooks.app:create_server",
    )
