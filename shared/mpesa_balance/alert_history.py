"""Alerts as people see them: reads only, opened for those who may see the amounts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from mpesa_balance.alert_rules import Kind, Limits
from mpesa_balance.alert_texts import Facts
from mpesa_balance.alerts import opened_detail, opened_limits, unknown
from mpesa_balance.database import Connection
from mpesa_balance.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as people see it. `detail` is what shows it: amounts, or what was said of the event.

    since: when it happened, or how old the balance is that shows it. failing: the channels that have
    not taken it yet, each with the last reason.
    """

    id: UUID
    rule_id: int
    kind: Kind
    shortcode: str | None
    account: str | None
    since: datetime
    raised_at: datetime
    cleared_at: datetime | None
    acked_at: datetime | None
    acked_by: str | None
    query_id: UUID | None
    limits: Limits
    detail: Mapping[str, str] = field(repr=False)
    failing: Mapping[str, str]

    @property
    def facts(self) -> Facts:
        """What a message about it is made of."""
        return Facts(
            alert_id=self.id,
            rule_id=self.rule_id,
            kind=self.kind,
            shortcode=self.shortcode,
            account=self.account,
            since=self.since,
            cleared_at=self.cleared_at,
            query_id=self.query_id,
            limits=self.limits,
            detail=self.detail,
        )

    def document(self) -> dict[str, Any]:
        """The alert as JSON has it: amounts are decimal strings."""
        instants = {name: getattr(self, name) for name in ("since", "raised_at", "cleared_at", "acked_at")}
        return {
            "id": str(self.id),
            "rule": self.rule_id,
            "kind": self.kind,
            "shortcode": self.shortcode,
            "account": self.account,
            **{name: instant and instant.isoformat() for name, instant in instants.items()},
            "acked_by": self.acked_by,
            "query_id": str(self.query_id) if self.query_id else None,
            "limits": self.limits.document(),
            "detail": dict(self.detail),
            "failing": dict(self.failing),
        }


def listed(
    connection: Connection,
    sealer: Sealer,
    shortcodes: Iterable[str] | None = None,
    *,
    everything: bool = False,
) -> list[Alert]:
    """The open alerts, newest first; or the newest thousand, whatever became of them.

    shortcodes: those about these; None for all, also those that are about none.
    """
    only = None if shortcodes is None else list(shortcodes)
    rows = connection.execute(_LISTED, {"everything": everything, "shortcodes": only})
    return [_alert(row, sealer) for row in rows]


def shortcode_of(connection: Connection, alert_id: UUID) -> str | None:
    """The shortcode that an alert is about, None for one that is about none. Raises NotFound."""
    row = connection.execute("SELECT shortcode FROM alerts WHERE id = %(id)s", {"id": alert_id}).fetchone()
    if row is None:
        raise unknown(alert_id)
    return cast("str | None", row["shortcode"])


def _alert(row: dict[str, Any], sealer: Sealer) -> Alert:
    read = {
        "kind": Kind(row["kind"]),
        "limits": opened_limits(sealer, row["rule_id"], row["limits"]),
        "detail": opened_detail(sealer, row["id"], row["detail"]),
        "failing": row["failing"] or {},
    }
    return Alert(**(row | read))


_LISTED: Final = """
    SELECT a.id, a.rule_id, a.kind, a.shortcode, a.account, a.since, a.raised_at, a.cleared_at,
           a.acked_at, a.acked_by, a.query_id, r.limits, a.detail,
           (SELECT jsonb_object_agg(m.channel, m.last_error) FROM alert_messages m
            WHERE m.alert_id = a.id AND m.delivered_at IS NULL AND m.last_error IS NOT NULL) AS failing
    FROM alerts a JOIN alert_rules r ON r.id = a.rule_id
    WHERE (a.cleared_at IS NULL OR %(everything)s)
      AND (%(shortcodes)s::text[] IS NULL OR a.shortcode = ANY(%(shortcodes)s::text[]))
    ORDER BY a.raised_at DESC, a.id LIMIT 1000
"""
