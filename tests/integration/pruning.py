"""An installation with a past: what is stored of it, made old, and what is left of it after a pruning."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from mpesa_balance import archives, outbox, replays, retention
from mpesa_balance.archives import Archive
from mpesa_balance.callback_urls import TIMEOUT
from mpesa_balance.retention import PARTS
from tests.conftest import SHORTCODE, open_query
from tests.integration.alerting import add_rule
from tests.integration.answers import begin, failure, record, rows, success
from worker import alerting
from worker.house import House
from worker.intake import open_request
from worker.replying import send_due
from worker.sweeper import sweep

BY = "cli:alice"
PAYROLL = {"task": "payroll.balance_known", "queue": "payroll"}

#: The tables of which rows go.
TABLES = [part.table for part in PARTS]


def complete(house: House) -> UUID:
    """A query that brought a balance, which nothing waits for."""
    query_id = open_query(house.database)
    record(house, begin(house, query_id), success())
    settle(house)
    return query_id


def settle(house: House) -> None:
    """Tell, send and examine whatever waits for that."""
    sweep(house)
    send_due(house)
    while alerting.examine(house):
        pass


def a_past(house: House, balances: int = 3) -> None:
    """Rows in every table of which rows go; nothing of it is open, and the last query brought a balance."""
    add_rule(house, "below", threshold="1000000")
    ask = {"shortcode": SHORTCODE, "force": True, "reply_to": PAYROLL, "idempotency_key": "k"}
    open_request(house, str(uuid4()), ask)
    (asked,) = rows(house, "SELECT query_id FROM balance_requests")
    record(house, begin(house, asked["query_id"]), success())
    open_request(house, str(uuid4()), {"shortcode": "999999", "reply_to": PAYROLL})
    refused, timed_out = (begin(house, open_query(house.database)) for _ in range(2))
    record(house, refused, failure("15"))
    record(house, timed_out, b"{}", TIMEOUT)
    record(house, uuid4(), success())
    with house.database.transaction() as connection:
        outbox.add(connection, outbox.PASSWORD_AGEING, "it is old", shortcode=SHORTCODE)
        (stray,) = connection.execute("SELECT id FROM callbacks WHERE disposition = 'unmatched'").fetchall()
        replays.replay(connection, house.database.sealer, stray["id"], "alice")
    for _ in range(balances):
        complete(house)
    execute(house, "UPDATE alerts SET cleared_at = now()")
    execute(
        house,
        "INSERT INTO alert_messages (alert_id, channel, what, delivered_at) "
        "SELECT id, 'people', 'raised', now() FROM alerts",
    )


def execute(house: House, statement: str, *values: Any) -> None:
    with house.database.transaction() as connection:
        connection.execute(statement, values)


def age(house: House, days: int = 40) -> None:
    """Everything happened so many days earlier."""
    columns = rows(
        house,
        "SELECT table_name AS table, array_agg(column_name::text) AS columns "
        "FROM information_schema.columns "
        "WHERE data_type = 'timestamp with time zone' AND table_name = ANY(%s) GROUP BY 1",
        TABLES,
    )
    for one in columns:
        moved = ", ".join(f"{name} = {name} - interval '{days} days'" for name in one["columns"])
        execute(house, f"UPDATE {one['table']} SET {moved}")


def prune(house: House, folder: Path, days: int = 30, batch: int = 500) -> dict[str, int]:
    """What was removed, by its table."""
    removed: dict[str, int] = {}
    with closing(Archive(folder, house.database.sealer)) as archive:
        for pruned in retention.prune(house.database, archive, days, BY, batch):
            for table, count in pruned.rows.items():
                removed[table] = removed.get(table, 0) + count
    return removed


def stored(house: House) -> set[str]:
    """Every row of these tables that is in Postgres, without what is sealed."""
    return {
        _text(table, one["document"])
        for table in TABLES
        for one in rows(house, f"SELECT to_jsonb(t) AS document FROM {table} t")
    }


def archived(house: House, files: Iterable[Path]) -> set[str]:
    """The same of what is in these archives, all of which can be read."""
    problems: list[str] = []
    found = archives.rows(house.database.sealer, sorted(files), problems.append)
    texts = [_text(table, row) for table, row in found]
    assert problems == []
    assert len(texts) == len(set(texts))
    return set(texts)


def _text(table: str, row: Any) -> str:
    opened = {"payload", "document", "detail"}
    return json.dumps([table, {name: value for name, value in row.items() if name not in opened}])


#: Three thousand queries with everything that may hang on one.
MANY = """
    WITH query AS (
        INSERT INTO balance_queries (id, shortcode, remarks, deadline_at, forced)
        SELECT gen_random_uuid(), '600000', 'ok', now(), true FROM generate_series(1, 3000) RETURNING id
    ), request AS (
        INSERT INTO balance_requests (id, query_id, answered_by, shortcode, reply_task, reply_queue)
        SELECT gen_random_uuid(), id, 'opened', '600000', 't', 'q' FROM query RETURNING id
    ), reply AS (
        INSERT INTO replies (request_id, state, sent_at) SELECT id, 'completed', now() FROM request
    ), attempt AS (
        INSERT INTO submission_attempts (id, query_id, number) SELECT id, id, 1 FROM query
    ), callback AS (
        INSERT INTO callbacks (attempt_id, kind, digest, payload, received_at, disposition)
        SELECT id, 'result', '', '', now(), 'applied' FROM query RETURNING id, attempt_id
    ), balance AS (
        INSERT INTO balances (query_id, shortcode, callback_id, document, warnings, as_of, examined_at)
        SELECT attempt_id, '600000', id, '', '{}', now() - id * interval '1 s', now() FROM callback
    ), notice AS (
        INSERT INTO outbox (topic, query_id, callback_id, message, delivered_at)
        SELECT 'query_failed', attempt_id, id, 'x', now() FROM callback
    ), alert AS (
        INSERT INTO alerts (id, rule_id, kind, since, query_id, detail, cleared_at)
        SELECT attempt_id, 1, 'query_failed', now(), attempt_id, '', now() FROM callback RETURNING id
    ), message AS (
        INSERT INTO alert_messages (alert_id, channel, what, delivered_at)
        SELECT id, 'people', 'raised', now() FROM alert
    ), replayed AS (
        INSERT INTO callback_replays (callback_id, replayed_by, disposition)
        SELECT id, 'alice', 'applied' FROM callback
    )
    INSERT INTO query_events (query_id, state, cause) SELECT id, 'pending', 'request' FROM query
"""
