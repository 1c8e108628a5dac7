"""How everything in Postgres stands at this moment, in numbers, for the metrics. Reads only, by indexes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mpesa_balance import received
from mpesa_balance.database import Connection


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many of something wait, and since when the oldest does, in seconds; 0 for none."""

    count: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcodeStanding:
    """A shortcode; ages in seconds. balance_age: of its newest balance, None where it has none."""

    shortcode: str
    is_suspended: bool
    password_age: float
    balance_age: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything at one moment.

    queries: those that are open, by state. unjudged: callbacks of which nothing has become yet.
    inbox: callbacks that wait for a person, by disposition. slots: in how many seconds each app may send
    again.
    """

    queries: Mapping[str, Waiting]
    notices: Waiting
    replies: Waiting
    unjudged: Waiting
    inbox: Mapping[str, int]
    quarantined: int
    shortcodes: tuple[ShortcodeStanding, ...] = field(repr=False)
    slots: Mapping[str, float]


def read(connection: Connection, patience_seconds: int) -> Standing:
    """How everything stands. Postgres ends a statement that lasts longer than the patience."""
    connection.execute("SET TRANSACTION READ ONLY")
    connection.execute("SELECT set_config('statement_timeout', %s, true)", (f"{patience_seconds}s",))
    return Standing(
        queries={row.pop("state"): Waiting(**row) for row in connection.execute(_QUERIES)},
        notices=_waiting(connection, _NOTICES),
        replies=_waiting(connection, _REPLIES),
        unjudged=_waiting(connection, _UNJUDGED),
        inbox=received.waiting(connection),
        quarantined=_row(connection, _QUARANTINED)["n"],
        shortcodes=tuple(ShortcodeStanding(**row) for row in connection.execute(_SHORTCODES)),
        slots={row["name"]: row["seconds"] for row in connection.execute(_SLOTS)},
    )


def _waiting(connection: Connection, statement: str) -> Waiting:
    return Waiting(**_row(connection, statement))


def _row(connection: Connection, statement: str) -> dict[str, Any]:
    row = connection.execute(statement).fetchone()
    return row or {}


def _age(instant: str) -> str:
    return f"coalesce(greatest(extract(epoch FROM clock_timestamp() - {instant}), 0), 0)::float"


# The conditions are those of the partial indexes, so that only what waits is looked at.

_QUERIES: Final = f"""
    SELECT state, count(*) AS count, {_age("min(created_at)")} AS oldest_seconds FROM balance_queries
    WHERE state IN ('pending', 'acknowledged') AND ended_at IS NULL GROUP BY state
"""  # noqa: S608 - of our own words

_NOTICES: Final = f"""
    SELECT count(*) AS count, {_age("min(created_at)")} AS oldest_seconds FROM outbox
    WHERE delivered_at IS NULL
"""  # noqa: S608 - of our own words

_REPLIES: Final = f"""
    SELECT count(*) AS count, {_age("min(created_at)")} AS oldest_seconds FROM replies WHERE sent_at IS NULL
"""  # noqa: S608 - of our own words

_UNJUDGED: Final = f"""
    SELECT count(*) AS count, {_age("min(recorded_at)")} AS oldest_seconds FROM callbacks
    WHERE disposition IS NULL AND reason IS NULL
"""  # noqa: S608 - of our own words

_QUARANTINED: Final = "SELECT count(*) AS n FROM quarantined_tasks"

_SHORTCODES: Final = """
    SELECT s.shortcode, s.suspended_at IS NOT NULL AS is_suspended,
           extract(epoch FROM clock_timestamp() - s.credential_set_at)::float AS password_age,
           extract(epoch FROM clock_timestamp() - newest.as_of)::float AS balance_age
    FROM shortcodes s LEFT JOIN LATERAL (
        SELECT as_of FROM balances b WHERE b.shortcode = s.shortcode ORDER BY as_of DESC LIMIT 1
    ) newest ON true
    ORDER BY s.shortcode
"""

#: An app that has sent nothing yet has the slot of a time without a beginning.
_SLOTS: Final = """
    SELECT name, CASE WHEN isfinite(next_slot_at)
        THEN greatest(extract(epoch FROM next_slot_at - clock_timestamp()), 0)::float ELSE 0 END AS seconds
    FROM daraja_apps ORDER BY name
"""

#: What is looked at, for whoever wants to see how it is read.
STATEMENTS: Final = (_QUERIES, _NOTICES, _REPLIES, _UNJUDGED, _QUARANTINED, _SHORTCODES, _SLOTS)
