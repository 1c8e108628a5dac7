"""Health of one program, for the probes of compose and Kubernetes: health worker, health beat."""

from pathlib import Path
from typing import Any, Final

import click

from mpesa_balance import health as checks
from mpesa_balance.cli import output
from mpesa_balance.environment import Reader, load
from mpesa_balance.health import Health

#: What a probe sees of a program that is not well.
EXIT_UNHEALTHY: Final = 1

_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=60),
    default=5.0,
    show_default=True,
    help="Seconds to wait for an answer.",
)
_alive = click.option("--alive", is_flag=True, help="Fail only where a restart would help (liveness).")


@click.group()
def health() -> None:
    """Say whether a worker or beat is well: for probes. The webhook tier has /health/live and .../ready.

    Exit codes: 0 it is, 1 it is not, and a sentence says what to do, 78 settings wrong.
    """


@health.command()
@click.argument("name")
@_timeout
@_alive
@output.as_json
def worker(name: str, timeout: float, alive: bool, json_output: bool) -> None:
    """Say whether the worker NAME (of this host, or name@host) answers and takes its messages.

    With --alive only its heartbeat in HEALTH_DIR is looked at, so that no worker is restarted because
    the broker is away.
    """
    node, directory = checks.worker_name(name), load(Reader.health_directory)
    if alive:
        found = checks.worker_alive(directory, node)
    else:
        found = checks.worker_ready(load(Reader.broker).broker_url, directory, node, timeout)
    _tell(found, json_output)


@health.command()
@click.option(
    "--schedule",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/mpesa-balance/beat-schedule"),
    show_default=True,
    help="What beat was started with.",
)
@click.option(
    "--max-age",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds that beat may be silent; its rarest regular tick comes every minute.",
)
@_timeout
@_alive
@output.as_json
def beat(schedule: Path, max_age: float, timeout: float, alive: bool, json_output: bool) -> None:
    """Say whether beat ticks: it writes its schedule down after each tick.

    With --alive a beat that waits for the broker counts as alive.
    """
    broker_url = load(Reader.broker).broker_url
    _tell(checks.beat(broker_url, schedule, max_age, timeout, only_alive=alive), json_output)


def _tell(found: Health, json_output: bool) -> None:
    output.report(f"{found.subject}: {found.reason}.", found.document(), json_output)
    if not found.healthy:
        click.get_current_context().exit(EXIT_UNHEALTHY)


COMMANDS: Final[tuple[Any, ...]] = (health,)
