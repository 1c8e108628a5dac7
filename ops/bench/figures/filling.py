"""Years of history: so many stored queries with all that hangs on them, made by SQL in bulk."""

import json
from typing import Final

from psycopg import sql

from mpesa_balance import stored_balances
from mpesa_balance.balances import parse_balance
from mpesa_balance.database import Connection
from mpesa_balance.sealing import Sealer

#: What is filled, in this order. All of it grows with what is asked.
TABLES: Final = (
    "balance_queries",
    "balance_requests",
    "submission_attempts",
    "callbacks",
    "balances",
    "query_events",
    "outbox",
    "replies",
    "alerts",
    "alert_messages",
    "audit",
)

BALANCE: Final = (
    "Working Account|KES|700000.00|700000.00|0.00|0.00&Utility Account|KES|228037.00|228037.00|0.00|0.00"
)


def fill(connection: Connection, sealer: Sealer, queries: int, shortcodes: int) -> None:
    """Store so many queries of the registered shortcodes, spread over three years until an hour ago.

    Nineteen in twenty brought a balance. What was stored before is gone. The connection commits by
    itself; this is one transaction, so that a server with `wal_level = minimal` writes nothing twice.
    """
    connection.execute("SET statement_timeout = 0")
    connection.execute("SET maintenance_work_mem = '512MB'")
    with connection.transaction():
        # Neither triggers nor foreign keys: what is made here is what they would let pass.
        connection.execute("SET LOCAL session_replication_role = replica")
        emptied = sql.SQL(", ").join(map(sql.Identifier, TABLES[:-1]))
        connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(emptied))
        # Indexes are made anew at the end, which is many times as quick as row by row.
        connection.execute(_REST, {"tables": list(TABLES)})
        connection.execute(sql.SQL(_STORED).format(queries=queries, shortcodes=shortcodes))
        for statement in _FILL:
            connection.execute(statement)
        connection.execute(_NUMBERED, {"queries": queries})
        for table in TABLES:
            connection.execute(sql.SQL("REINDEX TABLE {}").format(sql.Identifier(table)))
        _seal_newest(connection, sealer, shortcodes)


def settle(connection: Connection) -> None:
    """Leave the tables as a server has them that had time: vacuumed, analyzed, on the disk."""
    for table in TABLES:
        connection.execute(sql.SQL("VACUUM (FREEZE, ANALYZE) {}").format(sql.Identifier(table)))
    connection.execute("CHECKPOINT")


def _seal_newest(connection: Connection, sealer: Sealer, many: int) -> None:
    """The newest balance of each shortcode opens: it is what is read."""
    found = connection.execute(_NEWEST, {"many": many}).fetchall()
    ids = [row["query_id"] for row in found]
    accounts = [account.document() for account in parse_balance(BALANCE).accounts]
    document = json.dumps({"accounts": accounts, "raw": BALANCE})
    documents = [sealer.seal_text(document, stored_balances.balance_place(query_id)) for query_id in ids]
    connection.execute(_SEAL, {"ids": ids, "documents": documents})


#: Who asked what and when, in the order of time; the newest of each shortcode has brought a balance.
_STORED: Final = """
    CREATE TEMPORARY TABLE stored ON COMMIT DROP AS
    SELECT i, md5('query ' || i)::uuid AS query_id, md5('attempt ' || i)::uuid AS attempt_id,
           md5('request ' || i)::uuid AS request_id, (100000 + i % {shortcodes})::text AS shortcode,
           now() - interval '1 hour' - interval '3 years' * (1 - i::float / {queries}) AS asked_at,
           CASE WHEN i > {queries} - {shortcodes} OR i % 20 > 0 THEN 'completed'
                WHEN i % 40 = 0 THEN 'failed' ELSE 'timed_out' END AS state
    FROM generate_series(1, {queries}) i
"""

_REST: Final = """
    UPDATE pg_index SET indisready = false
    WHERE indrelid = ANY(%(tables)s::regclass[])
"""

#: What is sealed is as long as that of a query that is answered now: shorter rows would fill gaps.
_FILL: Final = (
    """
    INSERT INTO balance_queries
        (id, shortcode, remarks, state, attempts, next_attempt_at, deadline_at, created_at,
         ended_at, result_code, result_description, transaction_id, completed_at)
    SELECT query_id, shortcode, 'Account balance query', state, 1, asked_at + interval '90 s',
           asked_at + interval '600 s', asked_at, asked_at + interval '3 s',
           CASE state WHEN 'completed' THEN '0' WHEN 'failed' THEN '2001' END,
           'The service request is processed successfully.', upper(substr(md5(i::text), 1, 10)), asked_at
    FROM stored ORDER BY i
    """,
    """
    INSERT INTO balance_requests
        (id, shortcode, idempotency_key, requested_by, query_id, requested_at, answered_by, reply_task,
         reply_queue)
    SELECT request_id, shortcode, 'key ' || i, 'treasury', query_id, asked_at, 'opened',
           CASE WHEN i % 3 = 0 THEN 'treasury.balance' END, CASE WHEN i % 3 = 0 THEN 'treasury' END
    FROM stored ORDER BY i
    """,
    """
    INSERT INTO submission_attempts
        (id, query_id, number, state, sent_at, answered_at, http_status, code, description,
         originator_conversation_id, conversation_id)
    SELECT attempt_id, query_id, 1, 'acknowledged', asked_at, asked_at + interval '1 s', 200, '0',
           'Accept the service request successfully.', '12345-67890123-' || i,
           'AG_20260101_' || md5(i::text)
    FROM stored ORDER BY i
    """,
    """
    INSERT INTO callbacks
        (id, attempt_id, kind, digest, payload, address, received_at, recorded_at, disposition, judgings,
         judging_at)
    OVERRIDING SYSTEM VALUE
    SELECT i, attempt_id, CASE state WHEN 'timed_out' THEN 'timeout' ELSE 'result' END,
           decode(md5('digest ' || i) || md5(i::text), 'hex'), decode(repeat(md5(i::text), 62), 'hex'),
           '196.201.214.200', asked_at + interval '3 s', asked_at + interval '3 s', 'applied', 1,
           asked_at + interval '3 s'
    FROM stored ORDER BY i
    """,
    """
    INSERT INTO balances
        (query_id, shortcode, callback_id, document, warnings, as_of, recorded_at, examined_at)
    SELECT query_id, shortcode, i, decode(repeat(md5(i::text), 67), 'hex'), '{}', asked_at,
           asked_at + interval '3 s', asked_at + interval '8 s'
    FROM stored WHERE state = 'completed' ORDER BY i
    """,
    """
    INSERT INTO query_events (query_id, state, cause, attempt_id, callback_id, happened_at)
    SELECT query_id, moved.state, cause, CASE WHEN place > 1 THEN attempt_id END,
           CASE WHEN place = 3 THEN i END, asked_at + place * interval '1 s'
    FROM stored CROSS JOIN LATERAL (VALUES (1, 'pending', 'request'),
        (2, 'acknowledged', 'acknowledgement'), (3, stored.state, 'result')) moved (place, state, cause)
    ORDER BY i, place
    """,
    """
    INSERT INTO outbox (topic, query_id, message, created_at, delivered_at)
    SELECT 'query_' || state, query_id, state || ' by result', asked_at, asked_at + interval '5 s'
    FROM stored WHERE state <> 'completed' ORDER BY i
    """,
    """
    INSERT INTO replies (request_id, state, attempts, next_attempt_at, created_at, sent_at)
    SELECT request_id, state, 1, asked_at, asked_at, asked_at + interval '3 s'
    FROM stored WHERE i % 3 = 0 ORDER BY i
    """,
    """
    INSERT INTO alerts
        (id, rule_id, kind, shortcode, since, raised_at, cleared_at, query_id, detail)
    SELECT md5('alert ' || i)::uuid, rule.id, rule.kind, stored.shortcode, asked_at, asked_at,
           asked_at + interval '1 hour', query_id, decode(repeat(md5(i::text), 10), 'hex')
    FROM stored JOIN alert_rules rule ON rule.kind = 'query_' || state ORDER BY i
    """,
    """
    INSERT INTO alert_messages
        (alert_id, channel, what, attempts, next_attempt_at, created_at, delivered_at)
    SELECT id, 'mail', what, 1, raised_at, raised_at, raised_at + interval '5 s'
    FROM alerts CROSS JOIN (VALUES ('raised'), ('cleared')) told (what)
    """,
    """
    INSERT INTO audit (happened_at, actor, action, subject, detail)
    SELECT asked_at, 'treasury', 'answer_fetched', shortcode, 'query ' || query_id
    FROM stored WHERE i % 5 = 0 ORDER BY i
    """,
)

#: What has been numbered here is numbered on from there.
_NUMBERED: Final = "SELECT setval(pg_get_serial_sequence('callbacks', 'id'), %(queries)s)"

_NEWEST: Final = """
    SELECT DISTINCT ON (shortcode) query_id FROM balances
    WHERE query_id IN (SELECT query_id FROM stored ORDER BY i DESC LIMIT %(many)s)
    ORDER BY shortcode, as_of DESC
"""

_SEAL: Final = """
    UPDATE balances b SET document = sealed.document
    FROM unnest(%(ids)s::uuid[], %(documents)s::bytea[]) sealed (query_id, document)
    WHERE b.query_id = sealed.query_id
"""
