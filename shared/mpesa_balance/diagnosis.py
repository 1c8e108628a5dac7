"""What a doctor asks Postgres about itself and about what is registered and asked: reads only."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg

from mpesa_balance import shortcodes
from mpesa_balance.database import Connection, Database, describe
from mpesa_balance.errors import DatabaseUnavailable, NotFound
from mpesa_balance.inbox import Disposition
from mpesa_balance.states import QueryState

#: A result comes within seconds, and on bad days within minutes; before that it is not missing.
RESULT_PATIENCE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Postgres itself. `version` is as it counts them: 180002 is 18.2; `now` is its clock, aware UTC."""

    version: int
    now: datetime
    is_standby: bool
    is_read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredApp:
    """An app without its credentials, which may not open."""

    name: str
    environment: str
    base_url: str
    certificate: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredShortcode:
    """A shortcode without its credential, which may not open, and with its app's environment."""

    shortcode: str
    app: str
    environment: str
    identifier_type: int
    initiator: str
    suspended_at: datetime | None
    suspended_because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCallback:
    """The callback that came last for a shortcode. `received_at` is by the webhook host's clock."""

    query_id: UUID
    kind: str
    received_at: datetime
    address: str | None
    disposition: Disposition | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDay:
    """The queries of the last 24 hours: how many in each state, how many were called back, and how
    many Daraja acknowledged and never called back although it had time to."""

    states: Mapping[QueryState, int]
    called_back: int
    unanswered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFailure:
    """The query that failed last, in Daraja's words; `is_past` where a later one was completed."""

    query_id: UUID
    ended_at: datetime
    code: str | None
    description: str | None
    is_past: bool


@contextmanager
def reading(database: Database) -> Iterator[Connection]:
    """A transaction that cannot write. Raises DatabaseUnavailable for whatever Postgres refuses."""
    try:
        with database.transaction() as connection:
            # A person waits for the answer, and whole tables are looked through.
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute("SET LOCAL statement_timeout = '30s'")
            yield connection
    except psycopg.Error as error:
        raise DatabaseUnavailable(describe(error)) from error


def server(connection: Connection) -> Server:
    """Postgres's version, clock and role."""
    row = connection.execute(_SERVER).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without a table gives one row
    return Server(**row)


def registered_apps(connection: Connection) -> list[RegisteredApp]:
    """All apps, by name."""
    return [RegisteredApp(**row) for row in connection.execute(_APPS)]


def registered_shortcodes(connection: Connection, shortcode: str | None) -> list[RegisteredShortcode]:
    """One shortcode, or all of them in order. Raises NotFound where the one is not registered."""
    rows = connection.execute(_SHORTCODES, {"shortcode": shortcode}).fetchall()
    if shortcode is not None and not rows:
        raise NotFound(shortcodes.unregistered(shortcode))
    return [RegisteredShortcode(**row) for row in rows]


def last_callback(connection: Connection, shortcode: str) -> LastCallback | None:
    """The newest callback among those for the newest queries of a shortcode."""
    row = connection.execute(_LAST_CALLBACK, {"shortcode": shortcode}).fetchone()
    if row is None:
        return None
    settled = Disposition(row["disposition"]) if row["disposition"] else None
    return LastCallback(**(row | {"disposition": settled}))


def last_day(connection: Connection, shortcode: str) -> LastDay:
    """What became of the queries of the last 24 hours, by the database clock."""
    row = {"shortcode": shortcode, "patience": RESULT_PATIENCE_SECONDS}
    rows = connection.execute(_LAST_DAY, row).fetchall()
    return LastDay(
        states={QueryState(row["state"]): row["queries"] for row in rows},
        called_back=sum(row["called_back"] for row in rows),
        unanswered=sum(row["unanswered"] for row in rows),
    )


def last_failure(connection: Connection, shortcode: str) -> LastFailure | None:
    """The newest query of a shortcode that failed."""
    row = connection.execute(_LAST_FAILURE, {"shortcode": shortcode}).fetchone()
    return LastFailure(**row) if row else None


#: The transaction that reads is read-only itself, so what a new one would be is asked for.
_SERVER: Final = """
    SELECT current_setting('server_version_num')::int AS version, clock_timestamp() AS now,
           pg_is_in_recovery() AS is_standby,
           current_setting('default_transaction_read_only')::bool AS is_read_only
"""

_APPS: Final = "SELECT name, environment, base_url, certificate FROM daraja_apps ORDER BY name"

_SHORTCODES: Final = """
    SELECT s.shortcode, s.app, a.environment, s.identifier_type, s.initiator,
           s.suspended_at, s.suspended_because
    FROM shortcodes s JOIN daraja_apps a ON a.name = s.app
    WHERE s.shortcode = coalesce(%(shortcode)s, s.shortcode) ORDER BY s.shortcode
"""

#: Looking at the newest queries only keeps it quick where there are years of them.
_LAST_CALLBACK: Final = """
    SELECT a.query_id, c.kind, c.received_at, c.address, c.disposition, c.reason
    FROM (SELECT id FROM balance_queries WHERE shortcode = %(shortcode)s
          ORDER BY created_at DESC LIMIT 1000) q
    JOIN submission_attempts a ON a.query_id = q.id JOIN callbacks c ON c.attempt_id = a.id
    ORDER BY c.recorded_at DESC, c.id DESC LIMIT 1
"""

_LAST_DAY: Final = """
    WITH recent AS (
        SELECT state, created_at < now() - make_interval(secs => %(patience)s) AS had_time,
               EXISTS (SELECT FROM submission_attempts a
                       WHERE a.query_id = q.id AND a.state = 'acknowledged') AS taken,
               EXISTS (SELECT FROM submission_attempts a JOIN callbacks c ON c.attempt_id = a.id
                       WHERE a.query_id = q.id) AS called_back
        FROM balance_queries q
        WHERE shortcode = %(shortcode)s AND created_at > now() - interval '24 hours'
    )
    SELECT state, count(*) AS queries, count(*) FILTER (WHERE called_back) AS called_back,
           count(*) FILTER (WHERE taken AND NOT called_back
                            AND (state = 'timed_out' OR state = 'acknowledged' AND had_time)) AS unanswered
    FROM recent GROUP BY state ORDER BY state
"""

_LAST_FAILURE: Final = """
    SELECT q.id AS query_id, q.ended_at, q.result_code AS code, q.result_description AS description,
           EXISTS (SELECT FROM balance_queries later
                   WHERE later.shortcode = q.shortcode AND later.state = 'completed'
                     AND later.ended_at > q.ended_at) AS is_past
    FROM balance_queries q WHERE q.shortcode = %(shortcode)s AND q.state = 'failed'
    ORDER BY q.created_at DESC LIMIT 1
"""
