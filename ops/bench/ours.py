"""Our own system as it is measured: its own commands and settings, its tables filled with queries."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import psycopg

from mpesa_balance import apps, shortcodes
from mpesa_balance.apps import SANDBOX, App
from mpesa_balance.contract import (
    CALLBACKS_QUEUE,
    MAINTENANCE_QUEUE,
    REQUESTS_QUEUE,
    SUBMISSIONS_QUEUE,
)
from mpesa_balance.database import Database
from mpesa_balance.sealing import new_key, parse_sealer
from mpesa_balance.settings import DatabaseSettings
from mpesa_balance.shortcodes import PASSWORD, Shortcode
from ops.bench.population import Asked, shortcode
from ops.bench.rounds import Round
from ops.migrate import migrate
from ops.stack.ports import free_port
from ops.stack.programs import webhooks_command, worker

KEYS: Final = {"SEALING_KEYS": f"bench:{new_key()}", "CALLBACK_KEYS": new_key()}

#: The Daraja app of all shortcodes, as most organisations have one; at the highest rate that an app can
#: have, none of them waits.
_APP: Final = "app"


class Ours:
    """Our system in one round. Its database is migrated; nothing runs yet."""

    def __init__(self, running: Round, daraja_url: str = "http://127.0.0.1:9") -> None:
        self.running = running
        self.port = free_port()
        self.spool = running.folder / "spool"
        self._daraja_url = daraja_url
        migrate(running.stores.database_url)

    def settings(self) -> dict[str, str]:
        """The environment of every program, as the stack has it."""
        made = self.running.stores
        return {
            **KEYS,
            "DATABASE_URL": made.database_url,
            "BROKER_URL": made.broker_url,
            "CALLBACK_BASE_URL": f"http://127.0.0.1:{self.port}",
            "SPOOL_DIR": str(self.spool),
            "HEALTH_DIR": str(self.running.folder / "health"),
            # As in the stack: the load comes from this machine.
            "CALLBACK_ADDRESS_POLICY": "off",
        }

    def start(self) -> None:
        """The whole system but beat and Flower, ready."""
        self.start_webhooks()
        self.start_callbacks_worker()
        self.start_submissions_worker()
        self.running.wait_for_workers(2)

    def start_webhooks(self) -> None:
        """The webhook tier, ready."""
        own = {"BROKER_URL": self.running.stores.webhooks_broker_url, **_metrics()}
        self.running.start("webhooks", webhooks_command(self.port, processes=2), self.settings() | own)
        self.running.wait_for_page(self.port, "/health/ready")

    def start_callbacks_worker(self) -> None:
        """The worker that records callbacks; not ready yet."""
        self._start_worker("callbacks", (CALLBACKS_QUEUE, REQUESTS_QUEUE, MAINTENANCE_QUEUE), 2)

    def start_submissions_worker(self) -> None:
        """The worker that talks to Daraja; not ready yet."""
        self._start_worker("submissions", (SUBMISSIONS_QUEUE,), 4)

    def _start_worker(self, name: str, queues: tuple[str, ...], processes: int) -> None:
        program = worker(name, queues, processes, _metrics())
        self.running.start(f"{name} worker", program.command, self.settings() | program.environment)

    def register(self, count: int) -> None:
        """Register so many shortcodes, under an app that holds nothing back."""
        sealer = parse_sealer(KEYS["SEALING_KEYS"])
        url = self.running.stores.database_url
        database = Database(DatabaseSettings(database_url=url, sealer=sealer))
        with database.transaction() as connection:
            apps.add(connection, sealer, _app(self._daraja_url))
            for number in range(count):
                shortcodes.add(connection, sealer, _entry(number))
        database.close()

    def fill(self, queries: Iterable[Asked]) -> None:
        """Store queries that M-PESA has taken, each with its request, its attempt and its events."""
        with self.running.stores.connect() as connection:
            connection.execute(_STAGING)
            with connection.cursor().copy(_COPY) as copy:
                for one in queries:
                    row = (one.query_id, one.attempt_id, one.originator, one.conversation, one.shortcode)
                    copy.write_row(row)
            _fill_from_staging(connection)

    def completed(self) -> int:
        """How many queries have their result."""
        return int(self.running.stores.one("SELECT count(*) FROM balances"))

    def progress(self) -> float:
        """About how many that are, at no cost: Postgres counts its insertions, a second late."""
        return float(self.running.stores.one(_INSERTED))

    def last_completed_at(self) -> float:
        """When the last query was completed, in seconds since 1970."""
        return float(self.running.stores.one(_LAST))


def _fill_from_staging(connection: "psycopg.Connection[Any]") -> None:
    # A query must begin as pending, and each move costs: what is only background is written as it is.
    connection.execute("SET session_replication_role = replica")
    for statement in _FILL:
        connection.execute(statement)
    connection.execute("SET session_replication_role = DEFAULT")
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")


def _metrics() -> dict[str, str]:
    return {"METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(free_port())}


def _app(daraja_url: str) -> App:
    return App(
        name=_APP,
        environment=SANDBOX,
        base_url=daraja_url,
        consumer_key="key",
        consumer_secret="secret",  # noqa: S106 - the double looks at none
        requests_per_second=Decimal(1000),
    )


def _entry(number: int) -> Shortcode:
    return Shortcode(
        shortcode=shortcode(number),
        app=_APP,
        identifier_type=4,
        initiator="testapi",
        credential_kind=PASSWORD,
        credential="Safaricom999!*!",
    )


_STAGING: Final = """
    CREATE TEMPORARY TABLE asked
        (query_id uuid, attempt_id uuid, originator text, conversation text, shortcode text)
"""
_COPY: Final = "COPY asked FROM STDIN"

_FILL: Final = (
    """
    INSERT INTO balance_queries (id, shortcode, remarks, state, forced, attempts, deadline_at)
    SELECT query_id, shortcode, 'Account balance query', 'acknowledged', true, 1, now() + interval '1 day'
    FROM asked
    """,
    """
    INSERT INTO balance_requests (id, shortcode, requested_by, query_id, answered_by)
    SELECT gen_random_uuid(), shortcode, 'bench', query_id, 'opened' FROM asked
    """,
    """
    INSERT INTO submission_attempts (id, query_id, number, state, answered_at, http_status, code,
        description, originator_conversation_id, conversation_id)
    SELECT attempt_id, query_id, 1, 'acknowledged', now(), 200, '0',
        'Accept the service request successfully.', originator, conversation FROM asked
    """,
    """
    INSERT INTO query_events (query_id, state, cause, attempt_id)
    SELECT query_id, state, cause, attempt_id FROM asked,
        (VALUES (1, 'pending', 'request'), (2, 'acknowledged', 'submission')) moves (n, state, cause)
    ORDER BY query_id, n
    """,
)

_LAST: Final = """
    SELECT coalesce(extract(epoch FROM max(happened_at)), 'NaN') FROM query_events WHERE state = 'completed'
"""

_INSERTED: Final = """
    SELECT coalesce(sum(n_tup_ins), 0) FROM pg_stat_user_tables WHERE relname LIKE 'balances%'
"""
