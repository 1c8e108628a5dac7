"""The rules for alerts in Postgres: what is looked at, and which channels are told."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast

from mpesa_balance import alert_channels, alert_checks, alerts, logs
from mpesa_balance.alert_rules import Kind, Rule
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound, RequestRefused, SealBroken
from mpesa_balance.sealing import Sealer
from mpesa_balance.shortcodes import unregistered

logger = logs.get_logger(__name__)


def add(
    connection: Connection,
    sealer: Sealer,
    *,
    kind: str,
    shortcode: str | None = None,
    account: str | None = None,
    limits: Mapping[str, str | None],
    urgent: bool = False,
    channels: Sequence[str] = (),
) -> Rule:
    """Add a rule as a person describes it. Raises RequestRefused with everything that is wrong with it.

    limits: as they were typed, by the names of `Limits`. channels: none for all of them.
    """
    read_kind, read, wrong = alert_checks.read_rule(kind, shortcode, account, limits)
    wrong += _unknown(connection, shortcode, channels)
    if wrong:
        raise RequestRefused(wrong)
    row = connection.execute(_NEXT_RULE).fetchone()
    rule = Rule(
        id=int(row["id"]) if row else 0,
        kind=read_kind,
        shortcode=shortcode,
        account=account,
        limits=read,
        urgent=urgent,
        channels=tuple(dict.fromkeys(channels)) or None,
    )
    connection.execute(_ADD_RULE, _row(rule, sealer))
    if rule.kind in (Kind.BELOW, Kind.ABOVE):
        # What is so already must be told as well, and not only what will be so.
        connection.execute(_EXAMINE_NEWEST, {"shortcode": shortcode})
    return rule


def every(connection: Connection, sealer: Sealer, kinds: Collection[Kind] = tuple(Kind)) -> list[Rule]:
    """The rules of these kinds, in the order in which they were made. Raises SealBroken."""
    return [_rule(row, sealer) for row in connection.execute(_RULES, {"kinds": list(kinds)})]


def usable(connection: Connection, sealer: Sealer, kinds: Collection[Kind]) -> list[Rule]:
    """The same for whoever must go on without those whose limits do not open; the log tells of them."""
    found = []
    for row in connection.execute(_RULES, {"kinds": list(kinds)}).fetchall():
        try:
            found.append(_rule(row, sealer))
        except SealBroken as broken:
            logger.error("alert_rule_passed_by", rule_id=row["id"], reason=str(broken))  # noqa: TRY400
    return found


def remove(connection: Connection, rule_id: int) -> str | None:
    """Remove a rule, and clear what it has raised; gives the shortcode that it was for. Raises NotFound."""
    alerts.be_alone(connection)
    removed = connection.execute(_REMOVE_RULE, {"id": rule_id}).fetchone()
    if removed is None:
        raise NotFound(f"there is no rule {rule_id}: see `mpesa-balance alerts rules list`")
    alerts.clear_of_rule(connection, rule_id)
    return cast("str | None", removed["shortcode"])


def _unknown(connection: Connection, shortcode: str | None, names: Sequence[str]) -> list[str]:
    row = {"shortcode": shortcode, "names": list(names)}
    missing = connection.execute(_UNKNOWN, row).fetchall()
    return [
        alert_channels.unknown(one["name"]) if one["name"] else unregistered(shortcode or "")
        for one in missing
    ]


def _row(rule: Rule, sealer: Sealer) -> dict[str, Any]:
    document = rule.limits.document()
    return {
        "id": rule.id,
        "kind": rule.kind,
        "shortcode": rule.shortcode,
        "account": rule.account,
        "limits": sealer.seal_text(json.dumps(document), alerts.limits_place(rule.id))
        if document
        else None,
        "urgent": rule.urgent,
        "channels": list(rule.channels) if rule.channels else None,
    }


def _rule(row: Mapping[str, Any], sealer: Sealer) -> Rule:
    return Rule(
        id=row["id"],
        kind=Kind(row["kind"]),
        shortcode=row["shortcode"],
        account=row["account"],
        limits=alerts.opened_limits(sealer, row["id"], row["limits"]),
        urgent=row["urgent"],
        channels=tuple(row["channels"]) if row["channels"] else None,
    )


#: Its id is part of what its limits are sealed for.
_NEXT_RULE: Final = "SELECT nextval(pg_get_serial_sequence('alert_rules', 'id')) AS id"

_ADD_RULE: Final = """
    INSERT INTO alert_rules (id, kind, shortcode, account, limits, urgent, channels)
    VALUES (%(id)s, %(kind)s, %(shortcode)s, %(account)s, %(limits)s, %(urgent)s, %(channels)s)
"""

_EXAMINE_NEWEST: Final = """
    UPDATE balances b SET examined_at = NULL
    FROM shortcodes s
    CROSS JOIN LATERAL (SELECT query_id FROM balances WHERE shortcode = s.shortcode
                        ORDER BY as_of DESC, recorded_at DESC LIMIT 1) newest
    WHERE b.query_id = newest.query_id AND s.shortcode = coalesce(%(shortcode)s, s.shortcode)
"""

_RULES: Final = """
    SELECT id, kind, shortcode, account, limits, urgent, channels FROM alert_rules
    WHERE removed_at IS NULL AND kind = ANY(%(kinds)s) ORDER BY id
"""

_REMOVE_RULE: Final = """
    UPDATE alert_rules SET removed_at = now() WHERE id = %(id)s AND removed_at IS NULL RETURNING shortcode
"""

#: A row without a name is the shortcode's.
_UNKNOWN: Final = """
    SELECT NULL AS name WHERE %(shortcode)s::text IS NOT NULL
        AND NOT EXISTS (SELECT FROM shortcodes WHERE shortcode = %(shortcode)s)
    UNION ALL
    SELECT name FROM unnest(%(names)s::text[]) AS name
    WHERE NOT EXISTS (SELECT FROM alert_channels c WHERE c.name = name.name)
"""
