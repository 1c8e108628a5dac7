"""Alerts in Postgres: raised once, cleared once, each with the messages that tell of it."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from mpesa_balance.alert_rules import ACKNOWLEDGED, ANSWERED, HAPPENED, Kind, Limits, Rule
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound
from mpesa_balance.sealing import Sealer

#: Any number, as long as nothing else in this database locks it.
_LOCK: Final = 0x616C7274

#: What an open alert is about: its rule, the shortcode and the account.
Subject = tuple[int, str | None, str | None]


def be_alone(connection: Connection) -> None:
    """Be the only one that raises and clears until this transaction ends; others are waited for.

    An alert that somebody is clearing is still open to whoever would raise it anew, and two that clear
    several would wait for each other in a circle.
    """
    connection.execute(_BE_ALONE, {"lock": _LOCK})


def is_alone(connection: Connection) -> bool:
    """The same, but False where somebody else is at it."""
    row = connection.execute(_IS_ALONE, {"lock": _LOCK}).fetchone()
    return bool(row and row["is_alone"])


def raise_(
    connection: Connection,
    sealer: Sealer,
    rule: Rule,
    *,
    shortcode: str | None,
    since: datetime,
    detail: Mapping[str, str],
    account: str | None = None,
    query_id: UUID | None = None,
) -> UUID | None:
    """Raise an alert, unless it is open already, and have its channels told. Gives its id, or None."""
    alert_id = uuid4()
    row = {
        "id": alert_id,
        "rule_id": rule.id,
        "kind": rule.kind,
        "shortcode": shortcode,
        "account": account,
        "since": since,
        "query_id": query_id,
        "detail": sealer.seal_text(json.dumps(dict(detail)), detail_place(alert_id)),
        "channels": list(rule.channels) if rule.channels else None,
    }
    return alert_id if connection.execute(_RAISE, row).fetchone() else None


def open_ones(connection: Connection, rule_ids: Iterable[int]) -> dict[Subject, UUID]:
    """The open alerts of these rules."""
    rows = connection.execute(_OPEN, {"rule_ids": list(rule_ids)})
    return {(row["rule_id"], row["shortcode"], row["account"]): row["id"] for row in rows}


def clear(connection: Connection, alert_ids: Iterable[UUID]) -> list[UUID]:
    """These are over. Gives those that were open."""
    return _told(connection, connection.execute(_CLEAR, {"ids": list(alert_ids)}).fetchall())


def clear_of_rule(connection: Connection, rule_id: int) -> list[UUID]:
    """Whatever this rule has raised is over."""
    return _told(connection, connection.execute(_CLEAR_OF_RULE, {"rule_id": rule_id}).fetchall())


def clear_answered(connection: Connection, query_ids: Iterable[UUID]) -> list[UUID]:
    """What M-PESA has answered since with the balances of these queries is over."""
    row = {"query_ids": list(query_ids), "kinds": sorted(ANSWERED)}
    return _told(connection, connection.execute(_CLEAR_ANSWERED, row).fetchall())


def clear_mended(connection: Connection) -> list[UUID]:
    """What people have mended since is over: shortcodes were resumed, credentials replaced."""
    row = {
        "suspended": Kind.SHORTCODE_SUSPENDED,
        "passwords": [Kind.PASSWORD_AGEING, Kind.PASSWORD_EXPIRED],
    }
    return _told(connection, connection.execute(_CLEAR_MENDED, row).fetchall())


def acknowledge(connection: Connection, alert_id: UUID, by: str) -> bool:
    """Somebody knows of it; what only a person ends is over then, and the answer True. Raises NotFound."""
    be_alone(connection)
    row = connection.execute(_ACKNOWLEDGE, {"id": alert_id, "by": by}).fetchone()
    if row is None:
        raise unknown(alert_id)
    return Kind(row["kind"]) in ACKNOWLEDGED and bool(clear(connection, [alert_id]))


def unknown(alert_id: UUID) -> NotFound:
    """What is said where there is no such alert."""
    return NotFound(f"there is no alert {alert_id}: see `mpesa-balance alerts list --all`")


def opened_detail(sealer: Sealer, alert_id: UUID, sealed: bytes) -> dict[str, str]:
    """What shows an alert. Raises SealBroken."""
    detail: dict[str, str] = json.loads(sealer.open_text(sealed, detail_place(alert_id)))
    return detail


def limits_place(rule_id: int) -> str:
    """What a rule's limits are sealed for."""
    return f"alert_rules/{rule_id}/limits"


def opened_limits(sealer: Sealer, rule_id: int, sealed: bytes | None) -> Limits:
    """The limits of a rule as it is stored. Raises SealBroken."""
    if sealed is None:
        return Limits()
    return Limits.from_json(sealer.open_text(sealed, limits_place(rule_id)))


def detail_place(alert_id: UUID) -> str:
    """What an alert's detail is sealed for."""
    return f"alerts/{alert_id}/detail"


def _told(connection: Connection, cleared: Iterable[Mapping[str, Any]]) -> list[UUID]:
    """Have those who heard of them hear that they are over; who has not heard yet need not any more."""
    ids = [row["id"] for row in cleared]
    if ids:
        connection.execute(_WITHDRAW, {"ids": ids, "happened": sorted(HAPPENED)})
        # Another statement, so that it sees what was delivered while the first one waited.
        connection.execute(TELL_CLEARED, {"ids": ids})
    return ids


_BE_ALONE: Final = "SELECT pg_advisory_xact_lock(%(lock)s)"

_IS_ALONE: Final = "SELECT pg_try_advisory_xact_lock(%(lock)s) AS is_alone"

_RAISE: Final = """
    WITH raised AS (
        INSERT INTO alerts (id, rule_id, kind, shortcode, account, since, query_id, detail)
        VALUES (%(id)s, %(rule_id)s, %(kind)s, %(shortcode)s, %(account)s, %(since)s, %(query_id)s,
                %(detail)s)
        ON CONFLICT (rule_id, shortcode, account) WHERE cleared_at IS NULL DO NOTHING
        RETURNING id
    ), told AS (
        INSERT INTO alert_messages (alert_id, channel, what)
        SELECT raised.id, c.name, 'raised' FROM raised, alert_channels c
        WHERE %(channels)s::text[] IS NULL OR c.name = ANY(%(channels)s)
    )
    SELECT id FROM raised
"""

_OPEN: Final = """
    SELECT id, rule_id, shortcode, account FROM alerts
    WHERE rule_id = ANY(%(rule_ids)s) AND cleared_at IS NULL
"""

_CLEAR: Final = """
    UPDATE alerts SET cleared_at = now() WHERE id = ANY(%(ids)s) AND cleared_at IS NULL RETURNING id
"""

_CLEAR_OF_RULE: Final = """
    UPDATE alerts SET cleared_at = now() WHERE rule_id = %(rule_id)s AND cleared_at IS NULL RETURNING id
"""

#: A balance that came before the fault says nothing about it.
_CLEAR_ANSWERED: Final = """
    UPDATE alerts a SET cleared_at = now() FROM balances b
    WHERE b.query_id = ANY(%(query_ids)s) AND a.shortcode = b.shortcode AND b.recorded_at >= a.since
      AND a.kind = ANY(%(kinds)s) AND a.cleared_at IS NULL
    RETURNING a.id
"""

_CLEAR_MENDED: Final = """
    UPDATE alerts a SET cleared_at = now() FROM shortcodes s
    WHERE a.shortcode = s.shortcode AND a.cleared_at IS NULL AND (
        (a.kind = %(suspended)s AND (s.suspended_at IS NULL OR s.resumed_at > a.since))
        OR (a.kind = ANY(%(passwords)s) AND s.credential_set_at > a.since)
    )
    RETURNING a.id
"""

_ACKNOWLEDGE: Final = """
    UPDATE alerts SET acked_at = coalesce(acked_at, now()), acked_by = coalesce(acked_by, %(by)s)
    WHERE id = %(id)s RETURNING kind
"""

#: What happened is told even so; the message says that it is over.
_WITHDRAW: Final = """
    UPDATE alert_messages m SET given_up_at = now(), last_error = 'it was over before it was told'
    FROM alerts a
    WHERE a.id = m.alert_id AND m.alert_id = ANY(%(ids)s) AND m.what = 'raised'
      AND m.delivered_at IS NULL AND m.given_up_at IS NULL AND a.kind <> ALL(%(happened)s)
"""

#: Whoever was told of an alert that is over by now, and not yet of that.
TELL_CLEARED: Final = """
    INSERT INTO alert_messages (alert_id, channel, what)
    SELECT a.id, m.channel, 'cleared' FROM alerts a
    JOIN alert_messages m ON m.alert_id = a.id JOIN alert_channels c ON c.name = m.channel
    WHERE a.id = ANY(%(ids)s) AND a.cleared_at IS NOT NULL
      AND m.what = 'raised' AND m.delivered_at IS NOT NULL
    ON CONFLICT (alert_id, channel, what) DO NOTHING
"""
