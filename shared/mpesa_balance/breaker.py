"""The breaker of a shortcode: opened by a refusal or a person, closed by a person only."""

from typing import Final
from uuid import UUID

from mpesa_balance import audit, outbox
from mpesa_balance.audit import Action
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound
from mpesa_balance.shortcodes import unregistered


def suspend(connection: Connection, shortcode: str, because: str) -> None:
    """Stop every submission for a shortcode, asked or scheduled. Raises NotFound."""
    _change(connection, _SUSPEND, {"shortcode": shortcode, "because": because})


def suspend_after(connection: Connection, attempt_id: UUID, because: str, advice: str) -> None:
    """The breaker: suspend the shortcode of an attempt whose initiator was refused, and tell of it.

    Nothing happens where it is suspended already, or was resumed or given another credential after
    the attempt was sent, so that an old refusal does not stop what was mended.
    """
    row = {
        "attempt_id": attempt_id,
        "because": because,
        "topic": outbox.SHORTCODE_SUSPENDED,
        "message": f"nothing more is asked in its name: {because}. {advice}",
    }
    for suspended in connection.execute(_SUSPEND_AFTER, row).fetchall():
        shortcode = suspended["shortcode"]
        audit.add(connection, audit.BREAKER, Action.SHORTCODE_SUSPENDED, shortcode, because)


def resume(connection: Connection, shortcode: str) -> None:
    """Let submissions go on. Raises NotFound."""
    _change(connection, _RESUME, {"shortcode": shortcode})


def _change(connection: Connection, statement: str, row: dict[str, str]) -> None:
    if not connection.execute(statement, row).rowcount:
        raise NotFound(unregistered(row["shortcode"]))


_SUSPEND: Final = """
    UPDATE shortcodes SET suspended_at = coalesce(suspended_at, now()), suspended_because = %(because)s
    WHERE shortcode = %(shortcode)s
"""

_SUSPEND_AFTER: Final = """
    WITH suspended AS (
        UPDATE shortcodes s SET suspended_at = now(), suspended_because = %(because)s
        FROM submission_attempts a JOIN balance_queries q ON q.id = a.query_id
        WHERE a.id = %(attempt_id)s AND s.shortcode = q.shortcode AND s.suspended_at IS NULL
          AND a.sent_at >= greatest(s.credential_set_at, s.resumed_at)
        RETURNING s.shortcode, q.id AS query_id
    )
    INSERT INTO outbox (topic, message, shortcode, query_id)
    SELECT %(topic)s, %(message)s, shortcode, query_id FROM suspended
    RETURNING shortcode
"""

_RESUME: Final = """
    UPDATE shortcodes SET suspended_at = NULL, suspended_because = NULL, resumed_at = clock_timestamp()
    WHERE shortcode = %(shortcode)s
"""
