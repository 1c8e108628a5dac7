"""The two tables of the peers, and what fills them: a query and its balance, no more."""

from collections.abc import Iterable
from typing import Any, Final

import psycopg

from ops.bench.population import Asked

CREATE: Final = """
    CREATE TABLE queries (
        id uuid PRIMARY KEY,
        shortcode text NOT NULL,
        state text NOT NULL,
        originator_conversation_id text UNIQUE,
        conversation_id text,
        result_code text,
        result_description text,
        created_at timestamptz NOT NULL DEFAULT now(),
        completed_at timestamptz
    );
    CREATE TABLE balances (
        query_id uuid PRIMARY KEY REFERENCES queries (id),
        accounts jsonb NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now()
    );
"""

#: What an endpoint stores that has just asked.
OPEN: Final = """
    INSERT INTO queries (id, shortcode, state, originator_conversation_id, conversation_id)
    VALUES (gen_random_uuid(), %s, 'acknowledged', %s, %s) RETURNING id
"""

#: What a result does, in one transaction.
COMPLETE: Final = """
    UPDATE queries SET state = %s, result_code = %s, result_description = %s,
        completed_at = clock_timestamp()
    WHERE originator_conversation_id = %s RETURNING id
"""
STORE: Final = "INSERT INTO balances (query_id, accounts) VALUES (%s, %s)"

#: When the last result was recorded, in seconds since 1970, and how many there are.
LAST: Final = "SELECT coalesce(extract(epoch FROM max(completed_at)), 'NaN') FROM queries"
COUNT: Final = "SELECT count(*) FROM balances"


def create(connection: "psycopg.Connection[Any]", queries: Iterable[Asked] = ()) -> None:
    """Make the tables, with queries that M-PESA has taken."""
    connection.execute(CREATE)
    with connection.cursor().copy(
        "COPY queries (id, shortcode, state, originator_conversation_id, conversation_id) FROM STDIN"
    ) as copy:
        for one in queries:
            copy.write_row((one.query_id, one.shortcode, "acknowledged", one.originator, one.conversation))
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")


def accounts(value: str) -> list[dict[str, str]]:
    """The accounts in an AccountBalance value."""
    names = ("name", "currency", "current", "available", "reserved", "uncleared")
    return [dict(zip(names, part.split("|"), strict=True)) for part in value.split("&")]


def account_balance(payload: dict[str, Any]) -> str:
    """The AccountBalance value of a result as Daraja sends it."""
    parameters = payload["Result"]["ResultParameters"]["ResultParameter"]
    return str(next(one["Value"] for one in parameters if one["Key"] == "AccountBalance"))
