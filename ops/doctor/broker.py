"""Whether Redis is there, keeps what it is given, and has somebody who reads its queues."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from mpesa_balance.broker_urls import has_tls, is_loopback
from mpesa_balance.contract import QUEUES, UNROUTABLE_QUEUE
from mpesa_balance.errors import BrokerUnavailable
from ops.doctor import clocks
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok, unknown, warning

#: The oldest Redis that redis-py 8, our client, is tested with.
OLDEST: Final = (7, 2)

#: More than the workers leave behind in a normal minute: callbacks take milliseconds each.
LONG_QUEUE: Final = 1000

#: How long workers may take to say that they are there, in seconds: one whose machine is busy is no error.
_WORKERS_SECONDS: Final = 3.0

_QUEUES: Final = tuple(dict.fromkeys(QUEUES.values()))


def reachable(patient: Patient) -> list[Opinion]:
    """Whether it answers to our name and password."""
    broker = patient.broker
    try:
        broker.ping()
    except redis.RedisError as away:
        remedy = "start Redis and correct BROKER_URL; without a Redis, `mpesa-balance up` brings its own"
        return [error(f"the broker cannot be used: {away}", remedy)]
    return [ok("the broker answers")]


def connection(patient: Patient) -> list[Opinion]:
    """Whether others on the way can read along, and whether whoever gets there may do everything."""
    url = patient.broker_url
    if is_loopback(url):
        return [ok("the broker is on this machine")]
    said = [ok("the connection to the broker is encrypted, and its certificate is verified")]
    if not has_tls(url):
        remedy = (
            "set BROKER_URL to rediss:// (ops/docs/redis.md); a network that only these programs are on, "
            "as docker-compose.yml makes one, does as well"
        )
        said = [warning("passwords and messages cross the network to the broker in the clear", remedy)]
    if (urlsplit(url).username or "default") == "default":
        remedy = "give each program a user of its own, with the rules in ops/redis-users.acl"
        said += [
            warning("the broker lets us in without a user's name, so everybody may do everything", remedy)
        ]
    return said


def version(patient: Patient) -> list[Opinion]:
    """Whether it is new enough."""
    with _redis_faults():
        return [judge_version(patient.broker.info("server"))]


def judge_version(info: dict[str, Any]) -> Opinion:
    """What to say of a server that tells this about itself."""
    known_as = str(info.get("valkey_version") or info["redis_version"])
    name = "Valkey" if "valkey_version" in info else "Redis"
    # Valkey tells here which Redis it is compatible with.
    major, minor = (int(part) for part in str(info["redis_version"]).split(".")[:2])
    if (major, minor) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        remedy = f"upgrade it: {oldest} is the oldest Redis that our client is tested with"
        return warning(f"the broker is {name} {known_as}", remedy)
    return ok(f"the broker is {name} {known_as}")


def persistence(patient: Patient) -> list[Opinion]:
    """Whether callbacks that wait in it survive its restart."""
    kept = _configured(patient, "appendonly")
    if kept is None:
        return [_may_not_read("appendonly", "yes")]
    if kept != "yes":
        remedy = "`redis-cli CONFIG SET appendonly yes` by a user who may, and so in its file"
        return [warning("callbacks that wait in the broker are lost when it restarts", remedy)]
    return [ok("the broker keeps what it holds (appendonly)")]


def memory_policy(patient: Patient) -> list[Opinion]:
    """Whether a full broker refuses messages, as it must, or deletes queues."""
    policy = _configured(patient, "maxmemory-policy")
    if policy is None:
        return [_may_not_read("maxmemory-policy", "noeviction")]
    if policy != "noeviction":
        remedy = "`redis-cli CONFIG SET maxmemory-policy noeviction` by a user who may, and so in its file"
        return [error(f"a full broker deletes queues (maxmemory-policy {policy})", remedy)]
    return [ok("a full broker refuses messages and deletes none (noeviction)")]


def clock(patient: Patient) -> list[Opinion]:
    """Whether its clock shows the time that is shown here."""
    with _redis_faults():
        before = patient.clock()
        seconds, microseconds = patient.broker.time()
        after = patient.clock()
    there = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
    return [clocks.compare("the broker", there, before, after)]


def unroutable(patient: Patient) -> list[Opinion]:
    """Whether messages came for queues that nobody had declared."""
    if not (count := _length(patient, UNROUTABLE_QUEUE)):
        return [ok("no message went to a queue that nobody knows")]
    remedy = (
        f"`redis-cli LRANGE {UNROUTABLE_QUEUE} 0 -1` shows each with its task: have it sent again to the "
        f"task's own queue ({', '.join(_QUEUES)}), then `redis-cli DEL {UNROUTABLE_QUEUE}`"
    )
    return [warning(f"{count} messages went to a queue that nobody knows", remedy)]


def lengths(patient: Patient) -> list[Opinion]:
    """How much waits in each queue."""
    waiting = {queue: _length(patient, queue) for queue in _QUEUES}
    said = "waiting messages: " + ", ".join(f"{queue} {count}" for queue, count in waiting.items())
    if long := [queue for queue, count in waiting.items() if count > LONG_QUEUE]:
        remedy = f"give the worker of {' and '.join(long)} a higher --concurrency, or start another like it"
        return [warning(said, remedy)]
    return [ok(said)]


def workers(patient: Patient) -> list[Opinion]:
    """Whether a worker answers for each queue."""
    watching = _watching(patient.broker_url)
    if idle := [queue for queue in _QUEUES if queue not in watching]:
        return [error(f"no worker answers that reads {queue}", _start_worker(queue)) for queue in idle]
    nodes = sorted({node for found in watching.values() for node in found})
    return [ok(f"workers answer for every queue: {', '.join(nodes)}")]


def _watching(broker_url: str) -> dict[str, set[str]]:
    """The queues that are read, and by which workers. Raises BrokerUnavailable."""
    with Celery(broker=broker_url, set_as_current=False) as app:
        try:
            replies = app.control.inspect(timeout=_WORKERS_SECONDS).active_queues() or {}
        except (OperationalError, redis.RedisError) as away:
            raise BrokerUnavailable(f"the broker does not let us ask the workers: {away}") from away
    watching: dict[str, set[str]] = {}
    for node, queues in replies.items():
        for queue in queues:
            watching.setdefault(queue["name"], set()).add(node)
    return watching


def _start_worker(queue: str) -> str:
    typed = f"`celery --app worker.app worker --queues {queue}`"
    return f"{typed}, with the workers' settings; `docker compose up` and `mpesa-balance up` start them all"


def _configured(patient: Patient, name: str) -> str | None:
    """A line of its configuration; None where an ACL or a provider forbids to read it."""
    with _redis_faults():
        try:
            return patient.broker.config_get(name).get(name)
        except redis.ResponseError:
            return None


def _may_not_read(name: str, wanted: str) -> Opinion:
    return unknown(
        f"the broker does not let us read {name} (CONFIG GET)",
        f"have whoever runs it confirm `{name} {wanted}`, or allow it: `ACL SETUSER ... +config|get`",
    )


def _length(patient: Patient, queue: str) -> int:
    with _redis_faults():
        length: int = patient.broker.llen(queue)
        return length


@contextmanager
def _redis_faults() -> Iterator[None]:
    """Lets every fault of Redis leave as one of ours."""
    try:
        yield
    except redis.RedisError as fault:
        raise BrokerUnavailable(f"the broker refuses to say: {fault}") from fault
