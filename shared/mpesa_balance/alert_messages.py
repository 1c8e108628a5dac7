"""Messages about alerts in Postgres: each is sent at least once, by one worker at a time, or given up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from mpesa_balance.alert_rules import Kind
from mpesa_balance.alerts import TELL_CLEARED
from mpesa_balance.database import Connection

RAISED: Final = "raised"
CLEARED: Final = "cleared"

#: The waits before each further try, in seconds: for a day, and then the message is given up.
BACKOFF: Final = (10, 60, 300, 900, *(3600,) * 23)

#: A message is sent and its fate recorded within this time, or its worker has ended. In seconds.
LEASE: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is to be told, with all that its text is made of; what is sealed stays so until then.

    kind: that of the alert. what: RAISED or CLEARED; an alert that was raised may have been cleared since.
    """

    id: UUID
    channel: str
    url: bytes = field(repr=False)
    with_amounts: bool
    what: str
    alert_id: UUID
    rule_id: int
    kind: Kind
    shortcode: str | None
    account: str | None
    since: datetime
    cleared_at: datetime | None
    query_id: UUID | None
    urgent: bool
    limits: bytes | None = field(repr=False)
    detail: bytes = field(repr=False)


def claim(connection: Connection) -> list[Message]:
    """The next message of each channel that is free and not quiet; nobody else sends these meanwhile.

    The transaction is ended before they are sent. One a channel, so that a channel that hangs holds up
    itself alone; new ones first, so that what it does not take holds up nothing either.
    """
    return [_message(row) for row in connection.execute(_CLAIM, {"lease": LEASE})]


def delivered(connection: Connection, message: Message) -> None:
    """The channel took it."""
    connection.execute(_DELIVERED, {"id": message.id})
    if message.cleared_at is None:
        # It may have been cleared while this was under way, and then nobody was told so.
        connection.execute(TELL_CLEARED, {"ids": [message.alert_id]})


def put_off(connection: Connection, message: Message, reason: str) -> bool:
    """The channel did not take it; later it may. False where this was the last try."""
    row = {"id": message.id, "reason": reason, "backoff": list(BACKOFF)}
    found = connection.execute(_PUT_OFF, row).fetchone()
    return found is None or not found["is_given_up"]


def _message(row: Mapping[str, Any]) -> Message:
    return Message(**{**row, "kind": Kind(row["kind"])})


#: By the clocks of the channel's own time zone; hours that go past midnight are those outside of the rest.
_IS_QUIET: Final = """
    CASE WHEN c.quiet_from < c.quiet_until
         THEN (now() AT TIME ZONE c.time_zone)::time >= c.quiet_from
              AND (now() AT TIME ZONE c.time_zone)::time < c.quiet_until
         ELSE (now() AT TIME ZONE c.time_zone)::time >= c.quiet_from
              OR (now() AT TIME ZONE c.time_zone)::time < c.quiet_until END
"""

_CLAIM: Final = f"""
    WITH due AS (
        SELECT DISTINCT ON (m.channel) m.id
        FROM alert_messages m
        JOIN alerts a ON a.id = m.alert_id
        JOIN alert_rules r ON r.id = a.rule_id
        JOIN alert_channels c ON c.name = m.channel
        WHERE m.delivered_at IS NULL AND m.given_up_at IS NULL AND m.next_attempt_at <= now()
          AND (r.urgent OR c.quiet_from IS NULL OR NOT {_IS_QUIET})
          AND NOT EXISTS (SELECT FROM alert_messages busy
                          WHERE busy.channel = m.channel AND busy.leased_until > now()
                            AND busy.delivered_at IS NULL AND busy.given_up_at IS NULL)
        ORDER BY m.channel, m.attempts, m.next_attempt_at, m.created_at, m.id
    ), claimed AS (
        UPDATE alert_messages m
        SET attempts = m.attempts + 1, leased_until = now() + make_interval(secs => %(lease)s)
        FROM due
        WHERE m.id = due.id AND m.leased_until <= now()
          AND m.delivered_at IS NULL AND m.given_up_at IS NULL
        RETURNING m.id, m.alert_id, m.channel, m.what
    )
    SELECT m.id, m.channel, c.url, c.with_amounts, m.what, a.id AS alert_id, a.rule_id,
           a.kind, a.shortcode, a.account, a.since, a.cleared_at, a.query_id, r.urgent, r.limits, a.detail
    FROM claimed m
    JOIN alerts a ON a.id = m.alert_id
    JOIN alert_rules r ON r.id = a.rule_id
    JOIN alert_channels c ON c.name = m.channel
"""  # noqa: S608 - the part is a constant above

_DELIVERED: Final = """
    UPDATE alert_messages
    SET delivered_at = now(), given_up_at = NULL, last_error = NULL, leased_until = '-infinity'
    WHERE id = %(id)s
"""

_PUT_OFF: Final = """
    UPDATE alert_messages SET
        leased_until = '-infinity', last_error = %(reason)s,
        next_attempt_at = now() + make_interval(
            secs => (%(backoff)s::int[])[least(attempts, cardinality(%(backoff)s::int[]))]),
        given_up_at = CASE WHEN attempts > cardinality(%(backoff)s::int[]) THEN now() END
    WHERE id = %(id)s AND delivered_at IS NULL AND given_up_at IS NULL
    RETURNING given_up_at IS NOT NULL AS is_given_up
"""
