"""The line of each Daraja app: which queries are due, whose bell must be rung, when it may go on.

A query waits for its turn here, in Postgres; a message only says that somebody is in the line.
"""

from typing import Final
from uuid import UUID

from mpesa_balance import apps
from mpesa_balance.apps import App
from mpesa_balance.database import Connection
from mpesa_balance.sealing import Sealer

#: Slots are this much wider than the app's rate asks for: the network brings two requests closer
#: together than they left, and Daraja counts arrivals.
SPACING: Final = 1.1

#: For how long a worker holds an attempt until its slot comes, in seconds: two slots of its app, so
#: that a slow one is served at its rate, within these limits, so that it does not keep all workers
#: waiting. What is farther off waits in Postgres.
LEAST_WAIT: Final = 1.0
MOST_WAIT: Final = 5.0


def app_of(connection: Connection, sealer: Sealer, query_id: UUID) -> App | None:
    """The app in whose line a query waits; None for a query that nobody knows."""
    row = connection.execute(_APP_OF, {"query_id": query_id}).fetchone()
    return apps.named(connection, sealer, row["app"]) if row else None


def ring_due(
    connection: Connection, again_after_seconds: int, within_seconds: int, limit: int = 500
) -> list[UUID]:
    """The queries whose submission task must be sent (again), marked as rung; at most `limit`.

    Of the line of each app, no more than it may send `within_seconds`: the others would be heard in
    vain.
    """
    row = {"again": again_after_seconds, "within": within_seconds, "limit": limit}
    return [due["id"] for due in connection.execute(_RING_DUE, row)]


def ring_next(connection: Connection, app: str) -> UUID | None:
    """The first in the line of an app whose bell was heard in vain, marked as rung; None for none."""
    row = connection.execute(_RING_NEXT, {"app": app}).fetchone()
    return row["id"] if row else None


def take_slot(connection: Connection, app: str) -> float | None:
    """Take the app's next slot, without a place in the line; in how many seconds it is.

    None where that is too far off for a worker to wait, and nothing was taken.
    """
    row = {"app": app, "spacing": SPACING, "most_wait": MOST_WAIT}
    taken = connection.execute(_TAKE_SLOT, row).fetchone()
    return float(taken["wait"]) if taken else None


def hold_back(connection: Connection, app: str, seconds: float) -> None:
    """Send nothing more for an app for so long."""
    connection.execute(_HOLD_BACK, {"app": app, "seconds": seconds})


_APP_OF: Final = """
    SELECT s.app FROM balance_queries q JOIN shortcodes s USING (shortcode) WHERE q.id = %(query_id)s
"""

_RING_DUE: Final = """
    WITH line AS (
        SELECT q.id, q.rung_at, q.next_attempt_at,
               row_number() OVER (PARTITION BY a.name ORDER BY q.created_at, q.id)
                   <= greatest(a.requests_per_second * %(within)s, 2) AS is_near
        FROM balance_queries q JOIN shortcodes s USING (shortcode) JOIN daraja_apps a ON a.name = s.app
        WHERE q.state = 'pending' AND NOT q.late AND q.next_attempt_at <= now()
          AND s.suspended_at IS NULL AND a.next_slot_at <= now() + make_interval(secs => %(within)s)
    ), due AS (
        SELECT q.id FROM balance_queries q JOIN line USING (id)
        WHERE line.is_near AND q.state = 'pending'
          AND (q.rung_at < q.next_attempt_at OR q.rung_at < now() - make_interval(secs => %(again)s))
        ORDER BY q.created_at, q.id LIMIT %(limit)s FOR UPDATE OF q SKIP LOCKED
    )
    UPDATE balance_queries q SET rung_at = now() FROM due WHERE q.id = due.id RETURNING q.id
"""

_RING_NEXT: Final = """
    WITH next AS (
        SELECT q.id FROM balance_queries q JOIN shortcodes s USING (shortcode)
        WHERE s.app = %(app)s AND s.suspended_at IS NULL AND q.state = 'pending' AND NOT q.late
          AND q.next_attempt_at <= now() AND q.rung_at < q.next_attempt_at
        ORDER BY q.created_at, q.id LIMIT 1 FOR UPDATE OF q SKIP LOCKED
    )
    UPDATE balance_queries q SET rung_at = now() FROM next WHERE q.id = next.id RETURNING q.id
"""

_TAKE_SLOT: Final = """
    UPDATE daraja_apps SET next_slot_at = greatest(next_slot_at, clock_timestamp())
                                          + make_interval(secs => %(spacing)s / requests_per_second)
    WHERE name = %(app)s AND next_slot_at <= clock_timestamp() + make_interval(secs => %(most_wait)s)
    RETURNING greatest(extract(epoch FROM next_slot_at - clock_timestamp())
                       - %(spacing)s / requests_per_second, 0) AS wait
"""

_HOLD_BACK: Final = """
    UPDATE daraja_apps SET
        next_slot_at = greatest(next_slot_at, now() + make_interval(secs => %(seconds)s))
    WHERE name = %(app)s
"""
