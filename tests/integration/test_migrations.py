"""Migrations: once each, from anywhere, at the same time, and after a migrator was killed."""

import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from mpesa_balance.database import Database
from mpesa_balance.errors import SchemaOutdated
from mpesa_balance.sealing import Sealer
from mpesa_balance.settings import DatabaseSettings
from ops.migrate import MIGRATIONS, migrate

TABLES = {
    "daraja_apps",
    "shortcodes",
    "balance_requests",
    "balance_queries",
    "submission_attempts",
    "callbacks",
    "balances",
    "query_events",
    "outbox",
}


def test_an_empty_database_gets_every_table_and_a_second_run_does_nothing(empty_database_url: str) -> None:
    assert len(migrate(empty_database_url)) == len(list(MIGRATIONS.glob("*.sql")))
    assert migrate(empty_database_url) == []
    with psycopg.connect(empty_database_url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert {name for (name,) in found} >= TABLES


def test_every_address_that_the_programs_understand_can_be_migrated(empty_database_url: str) -> None:
    """Several servers, of which the one is meant that takes writes; sockets; words as URLs have them."""
    given = conninfo_to_dict(empty_database_url)
    database = quote(str(given["dbname"]))
    socket = quote(str(given["host"]), safe="")
    several = f"postgresql://{given['user']}@127.0.0.1:1,{socket}:{given.get('port', 5432)}/{database}"
    assert len(migrate(several + "?target_session_attrs=read-write")) == len(list(MIGRATIONS.glob("*.sql")))
    assert migrate(f"postgresql://{given['user']}@{socket}/{database}?application_name=a%20b") == []


def test_machines_that_migrate_at_once_apply_each_migration_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as machines:
        applied = list(machines.map(migrate, [empty_database_url] * 4))
    assert sorted(len(names) for names in applied) == [0, 0, 0, len(list(MIGRATIONS.glob("*.sql")))]


def test_a_lock_that_a_killed_migrator_left_does_not_hold_up_the_next(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
    assert migrate(empty_database_url) == []


def test_every_instant_in_the_schema_has_a_time_zone(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND table_name NOT LIKE '%yoyo%' AND data_type = 'timestamp without time zone'"
        ).fetchall()
    assert found == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("submission_attempts", name) for name in ("state", "answered_at", "code", "conversation_id")),
        *(("callbacks", name) for name in ("deliveries", "judgings", "rung_at")),
        ("daraja_apps", "next_slot_at"),
    ],
)
def test_what_is_written_again_and_again_is_in_no_index(database_url: str, table: str, column: str) -> None:
    """An update of such columns alone enters no index, as long as the page of its row has room."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = %s", (table,)
        ).fetchall()
    assert not [index for (index,) in found if re.search(rf"\b{column}\b", index)]


def test_a_database_that_was_not_migrated_says_so(empty_database_url: str, sealer: Sealer) -> None:
    database = Database(DatabaseSettings(database_url=empty_database_url, sealer=sealer))
    with pytest.raises(SchemaOutdated, match="mpesa-balance migrate"), database.transaction() as connection:
        connection.execute("SELECT FROM balance_queries")
    database.close()


def test_what_was_stored_before_a_migration_is_still_there_after_it(empty_database_url: str) -> None:
    """Two queries of one shortcode in flight, a refused request: what version 0001 let be."""
    first, *later = [path.read_text() for path in sorted(MIGRATIONS.glob("*.sql"))]
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(first)  # type: ignore[call-overload]
        connection.execute(_STORED_BY_0001)
        for migration in later:
            connection.execute(migration)
        found = connection.execute("SELECT state, forced FROM balance_queries").fetchall()
        answered = connection.execute("SELECT answered_by FROM balance_requests ORDER BY 1").fetchall()
    assert found == [("pending", True), ("pending", True)]
    assert answered == [("opened",), (None,)]


def test_a_worker_of_the_version_before_can_still_record_a_request(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            _STORED_BY_0001.replace("'600000', 'ok', now()), (", "'600001', 'ok', now()), (")
        )


_STORED_BY_0001 = """
    INSERT INTO daraja_apps (name, environment, base_url, consumer_key, consumer_secret)
    VALUES ('a', 'sandbox', 'https://x', '', '');
    INSERT INTO shortcodes (shortcode, app, identifier_type, initiator, credential_kind, credential)
    VALUES ('600000', 'a', 4, 'i', 'password', ''), ('600001', 'a', 4, 'i', 'password', '');
    INSERT INTO balance_queries (id, shortcode, remarks, deadline_at)
    VALUES ('00000000-0000-0000-0000-000000000001', '600000', 'ok', now()), (
            '00000000-0000-0000-0000-000000000002', '600000', 'ok', now());
    INSERT INTO balance_requests (id, shortcode, query_id)
    VALUES (gen_random_uuid(), '600000', '00000000-0000-0000-0000-000000000001');
    INSERT INTO balance_requests (id, shortcode, refusal) VALUES (gen_random_uuid(), '600000', 'no');
"""
