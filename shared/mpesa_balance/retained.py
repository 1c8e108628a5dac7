"""What may be removed from Postgres, and what must stay: whatever is open, waits, or is young."""

from dataclasses import dataclass
from typing import Final

from mpesa_balance.database import Connection

#: What ended before this ended long ago.
_OLD: Final = "now() - make_interval(days => %(days)s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A table with rows that others hang on. ended: its column that says when one ended.

    only: which of them are looked at, as an index has it. may_go: which of those need not stay, in
    the words of `t`, a row.
    """

    table: str
    ended: str
    may_go: str
    only: str = "true"

    @property
    def look(self) -> str:
        """The next rows that ended long ago, locked; those that others hold are passed over."""
        return f"""
            SELECT t.id, t.{self.ended} AS ended FROM {self.table} t
            WHERE t.{self.ended} < {_OLD} AND {self.only}
              AND (t.{self.ended}, t.id::text) > (%(after)s::timestamptz, %(after_id)s::text)
            ORDER BY t.{self.ended}, t.id::text LIMIT %(limit)s FOR UPDATE OF t SKIP LOCKED
        """  # noqa: S608 - of names and conditions below

    @property
    def going(self) -> str:
        """Which of these rows may go."""
        return f"SELECT t.id FROM {self.table} t WHERE t.id = ANY(%(ids)s) AND {self.may_go}"  # noqa: S608

    @property
    def count(self) -> str:
        """How many rows may go."""
        return f"""
            SELECT count(*) AS n FROM {self.table} t
            WHERE t.{self.ended} < {_OLD} AND {self.only} AND {self.may_go}
        """  # noqa: S608


def count_due(connection: Connection, days: int) -> dict[str, int]:
    """How many rows of each root may go after so many days, by its table."""
    given = {"days": days}
    counted = {root.table: root.count for root in ROOTS} | {"balance_queries": _COUNT_QUERIES}
    return {
        table: connection.execute(statement, given).fetchall()[0]["n"]
        for table, statement in counted.items()
    }


#: Its requests are as old and answered, its callbacks are as old and judged, and whoever was to be told of
#: any of it has been. Its balance is examined, and not the newest: a shortcode's last one stays.
_QUERY_MAY_GO: Final = f"""
    t.ended_at < {_OLD}
    AND NOT EXISTS (
        SELECT FROM balance_requests r WHERE r.query_id = t.id AND (
            r.requested_at >= {_OLD}
            OR EXISTS (SELECT FROM replies p WHERE p.request_id = r.id AND p.sent_at IS NULL)))
    AND NOT EXISTS (
        SELECT FROM submission_attempts a JOIN callbacks c ON c.attempt_id = a.id
        WHERE a.query_id = t.id AND (
            c.disposition IS NULL OR c.recorded_at >= {_OLD}
            OR EXISTS (SELECT FROM outbox o WHERE o.callback_id = c.id AND o.delivered_at IS NULL)))
    AND NOT EXISTS (SELECT FROM outbox o WHERE o.query_id = t.id AND o.delivered_at IS NULL)
    AND NOT EXISTS (
        SELECT FROM balances b WHERE b.query_id = t.id AND (
            b.examined_at IS NULL
            OR b.query_id = (SELECT n.query_id FROM balances n WHERE n.shortcode = b.shortcode
                             ORDER BY n.as_of DESC, n.recorded_at DESC, n.query_id LIMIT 1)))
    AND NOT EXISTS (
        SELECT FROM alerts a WHERE a.query_id = t.id AND (
            a.cleared_at IS NULL OR a.cleared_at >= {_OLD}
            OR EXISTS (SELECT FROM alert_messages m WHERE m.alert_id = a.id
                       AND m.delivered_at IS NULL AND m.given_up_at IS NULL)))
"""  # noqa: S608 - of the constant above

ROOTS: Final = (
    Root(
        table="balance_queries",
        ended="ended_at",
        may_go=_QUERY_MAY_GO
        + "AND NOT EXISTS (SELECT FROM balance_queries later WHERE later.retry_of = t.id)",
    ),
    # What was refused has no query.
    Root(
        table="balance_requests",
        ended="requested_at",
        only="t.refusal IS NOT NULL",
        may_go="NOT EXISTS (SELECT FROM replies p WHERE p.request_id = t.id AND p.sent_at IS NULL)",
    ),
    # What came for an attempt that is gone, and nobody has looked at since.
    Root(
        table="callbacks",
        ended="recorded_at",
        only="t.disposition IN ('conflict', 'unmatched', 'unreadable')",
        may_go="""
            NOT EXISTS (SELECT FROM submission_attempts a WHERE a.id = t.attempt_id)
            AND NOT EXISTS (SELECT FROM balances b WHERE b.callback_id = t.id)
            AND NOT EXISTS (SELECT FROM outbox o WHERE o.callback_id = t.id AND o.delivered_at IS NULL)
        """,
    ),
    # Notices about shortcodes and apps.
    Root(
        table="outbox",
        ended="delivered_at",
        only="t.query_id IS NULL AND t.callback_id IS NULL",
        may_go="true",
    ),
    # Those that are over; what a person ends is over when somebody has acknowledged it.
    Root(
        table="alerts",
        ended="cleared_at",
        may_go="""
            NOT EXISTS (SELECT FROM alert_messages m WHERE m.alert_id = t.id
                        AND m.delivered_at IS NULL AND m.given_up_at IS NULL)
        """,
    ),
)

#: With those whose place others took that may go themselves: they follow in the next round.
_COUNT_QUERIES: Final = f"""
    WITH RECURSIVE going AS (
        SELECT t.id, t.retry_of FROM balance_queries t WHERE {ROOTS[0].may_go}
        UNION ALL
        SELECT t.id, t.retry_of FROM going JOIN balance_queries t ON t.id = going.retry_of
        WHERE {_QUERY_MAY_GO}
    )
    SELECT count(*) AS n FROM going
"""  # noqa: S608 - of the constants above
