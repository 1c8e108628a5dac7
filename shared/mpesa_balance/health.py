"""Whether a worker and beat are alive and ready, and what to do where they are not.

Alive asks what only a restart can mend, and needs neither the broker nor Postgres. Ready asks also
whether the work can go on now.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from mpesa_balance import heartbeats
from mpesa_balance.broker_urls import tls_options


@dataclass(frozen=True, slots=True)
class Health:
    """A program, whether it is well, and a sentence: what is so, or what is wrong and what to do."""

    subject: str
    healthy: bool
    reason: str

    def document(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


def worker_name(name: str) -> str:
    """The name that Celery gives a worker: what is no `name@host` gets the name of this host."""
    return name if "@" in name else f"{name}@{gethostname()}"


def worker_alive(directory: Path, name: str) -> Health:
    """Whether a worker of this host lives, by its heartbeat in HEALTH_DIR alone."""
    heartbeat = heartbeats.read(directory, name)
    if heartbeat is None:
        remedy = "give this command the worker's own HEALTH_DIR; where it has just been started, wait"
        return _unwell(name, f"there is no heartbeat of it in {directory}: {remedy}")
    told = f"its last heartbeat is {_age(heartbeat.beat_at):.0f} s old"
    if heartbeat.is_stale(datetime.now(UTC)):
        return _unwell(name, f"{told}: it has ended or hangs, restart it")
    return _well(name, told)


def worker_ready(broker_url: str, directory: Path, name: str, timeout: float) -> Health:
    """Whether a worker answers within `timeout` seconds, and takes its messages.

    Whether it takes them is known on its own host only; elsewhere its answer must do.
    """
    if away := _broker_fault(broker_url, timeout):
        remedy = "bring it back or correct BROKER_URL; the worker waits for it and needs no restart"
        return _unwell(name, f"the broker is away, so nobody can ask it ({away}): {remedy}")
    try:
        has_answered = _answers(broker_url, name, timeout)
    except (OperationalError, redis.RedisError) as error:
        return _unwell(name, f"the broker does not let us ask it ({error}): look at the broker")
    if not has_answered:
        remedy = "see whether it runs under this name and what its log says; restart it where it hangs"
        return _unwell(name, f"it does not answer within {timeout:g} s: {remedy}")
    heartbeat = heartbeats.read(directory, name)
    if heartbeat is None:
        return _well(name, f"it answers; whether it takes its messages, {directory} does not say here")
    if heartbeat.is_deaf(datetime.now(UTC)):
        silent = f"{_age(heartbeat.canary_at or heartbeat.began_at):.0f} s"
        remedy = "it ends itself soon; where the broker was away, wait for the next one"
        return _unwell(name, f"it answers, but has taken no canary for {silent}: {remedy}")
    return _well(name, "it answers and takes its messages")


def beat(
    broker_url: str, schedule: Path, max_age: float, timeout: float, *, only_alive: bool = False
) -> Health:
    """Whether beat has written its schedule down in the last `max_age` seconds.

    only_alive: a beat that waits for a broker that is away is well.
    """
    written = _written_at(schedule)
    if written is not None and _age(written) <= max_age:
        return _well("beat", f"it wrote its schedule down {_age(written):.0f} s ago")
    if away := _broker_fault(broker_url, timeout):
        waits = f"it waits for the broker, which is away ({away}): bring that back"
        return Health("beat", only_alive, waits)
    if written is None:
        remedy = "start it, with --schedule at the same path; where it has just been started, wait"
        return _unwell("beat", f"there is no schedule at {schedule}: {remedy}")
    told = f"it wrote its schedule down {_age(written):.0f} s ago, and not since"
    return _unwell("beat", f"{told}, though the broker is there: it has ended or hangs, restart it")


def _well(subject: str, reason: str) -> Health:
    return Health(subject, True, reason)


def _unwell(subject: str, reason: str) -> Health:
    return Health(subject, False, reason)


def _written_at(schedule: Path) -> datetime | None:
    """When the schedule was written last; its file has another suffix on other systems."""
    try:
        instants = [file.stat().st_mtime for file in schedule.parent.glob(f"{schedule.name}*")]
    except OSError:
        return None
    return datetime.fromtimestamp(max(instants), UTC) if instants else None


def _age(instant: datetime) -> float:
    return (datetime.now(UTC) - instant).total_seconds()


def _broker_fault(broker_url: str, timeout: float) -> str | None:
    """Why the broker cannot be used; None where it can."""
    try:
        with redis.Redis.from_url(
            broker_url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=None
        ) as broker:
            broker.ping()
    except redis.RedisError as fault:
        return str(fault)
    return None


def _answers(broker_url: str, name: str, timeout: float) -> bool:
    """Whether the worker answers to a ping. Raises OperationalError or RedisError."""
    with Celery(broker=broker_url, set_as_current=False) as app:
        app.conf.update(
            broker_use_ssl=tls_options(broker_url),
            broker_connection_timeout=timeout,
            broker_transport_options={"socket_timeout": timeout, "socket_connect_timeout": timeout},
        )
        return bool(app.control.ping(destination=[name], timeout=timeout, limit=1))
