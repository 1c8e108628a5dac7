"""The line of each Daraja app: which queries are due, who is first, when the app may go on.

A query waits for its turn here, in Postgres; a message only says that somebody is in the line.
"""

from typing import Final, NamedTuple
from uuid import UUID

from psycopg import sql

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

#: How many attempts of one query Daraja may have taken without ending it. The query only reads.
MOST_UNANSWERED: Final = 3


class Slots(NamedTuple):
    """Slots of an app that were taken: in how many seconds the first is, and how far apart they are."""

    wait: float
    step: float

    def wait_of(self, place: int) -> float:
        """In how many seconds one of them is, by its place from 0."""
        return self.wait + place * self.step


def app_of(connection: Connection, sealer: Sealer, query_id: UUID) -> App | None:
    """The app in whose line a query waits; None for a query that nobody knows."""
    row = connection.execute(_APP_OF, {"query_id": query_id}).fetchone()
    return apps.named(connection, sealer, row["app"]) if row else None


def first_of_each(connection: Connection, within_seconds: float) -> dict[str, UUID]:
    """The first in the line of every app that may go on within so many seconds, by the app's name."""
    return {row["app"]: row["id"] for row in connection.execute(_FIRST_OF_EACH, {"within": within_seconds})}


def first_of(connection: Connection, app: str) -> UUID | None:
    """The first in the line of an app, where its next slot is near; None where a bell would be in vain."""
    row = connection.execute(_FIRST_OF, {"app": app, **REACH_NUMBERS}).fetchone()
    return row["id"] if row else None


def take_slots(connection: Connection, app: str, count: int = 1) -> Slots | None:
    """Take the app's next slots, without places in the line.

    None where the first is too far off for a worker to wait, and nothing was taken.
    """
    row = {"app": app, "count": count, "spacing": SPACING, "most_wait": MOST_WAIT}
    taken = connection.execute(_TAKE_SLOTS, row).fetchone()
    return Slots(**taken) if taken else None


def hold_back(connection: Connection, app: str, seconds: float) -> None:
    """Send nothing more for an app for so long."""
    connection.execute(_HOLD_BACK, {"app": app, "seconds": seconds})


#: What the statements that look at REACH and DUE are given.
REACH_NUMBERS: Final = {
    "least_wait": LEAST_WAIT,
    "most_wait": MOST_WAIT,
    "spacing": SPACING,
}

#: How far off, in seconds, the slot of an app `a` may be that a worker waits for.
REACH: Final = sql.SQL(
    "least(greatest(%(least_wait)s, 2 * %(spacing)s / a.requests_per_second), %(most_wait)s)::float"
)

#: Whether a query `q` of a shortcode `s` is in its line.
DUE: Final = sql.SQL("""
    q.state = 'pending' AND NOT q.late AND q.next_attempt_at <= statement_timestamp()
    AND q.deadline_at > statement_timestamp() AND s.suspended_at IS NULL
    AND (SELECT count(*) FROM submission_attempts t
         WHERE t.query_id = q.id AND t.state IN ('sending', 'unknown', 'acknowledged')) < {most}
""").format(most=sql.Literal(MOST_UNANSWERED))

_APP_OF: Final = """
    SELECT s.app FROM balance_queries q JOIN shortcodes s USING (shortcode) WHERE q.id = %(query_id)s
"""

#: Nobody is served here, so nothing is locked: a bell for nobody does no harm.
_FIRST: Final = sql.SQL("""
    SELECT q.id FROM shortcodes s JOIN balance_queries q USING (shortcode)
    WHERE s.app = a.name AND {due} ORDER BY q.created_at, q.id LIMIT 1
""").format(due=DUE)

_FIRST_OF_EACH: Final = sql.SQL("""
    SELECT a.name AS app, first.id FROM daraja_apps a CROSS JOIN LATERAL ({first}) first
    WHERE a.next_slot_at <= clock_timestamp() + make_interval(secs => %(within)s)
""").format(first=_FIRST)

_FIRST_OF: Final = sql.SQL("""
    SELECT first.id FROM daraja_apps a CROSS JOIN LATERAL ({first}) first
    WHERE a.name = %(app)s AND a.next_slot_at <= clock_timestamp() + make_interval(secs => {reach})
""").format(first=_FIRST, reach=REACH)

_TAKE_SLOTS: Final = """
    UPDATE daraja_apps SET
        next_slot_at = greatest(next_slot_at, clock_timestamp())
                       + %(count)s * make_interval(secs => %(spacing)s / requests_per_second)
    WHERE name = %(app)s AND next_slot_at <= clock_timestamp() + make_interval(secs => %(most_wait)s)
    RETURNING greatest(extract(epoch FROM next_slot_at - clock_timestamp())
                       - %(count)s * %(spacing)s / requests_per_second, 0)::float AS wait,
              (%(spacing)s / requests_per_second)::float AS step
"""

_HOLD_BACK: Final = """
    UPDATE daraja_apps SET
        next_slot_at = greatest(next_slot_at, now() + make_interval(secs => %(seconds)s))
    WHERE name = %(app)s
"""
