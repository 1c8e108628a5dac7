"""Beginnings of submission attempts: who is sent next, committed before anything is."""

from typing import Final

from psycopg import sql

from mpesa_balance import apps, line, shortcodes
from mpesa_balance.attempts import Attempt
from mpesa_balance.database import Connection
from mpesa_balance.ids import time_ordered_id
from mpesa_balance.sealing import Sealer

#: So many attempts begin together at most: each is sent by a thread of its own, and two statements
#: more or less for each of them are what a long line costs.
TOGETHER: Final = 32


def begin(
    connection: Connection, sealer: Sealer, app_name: str, grace_seconds: int, most: int = TOGETHER
) -> list[Attempt]:
    """Take the right to submit the queries that are first in the line of an app, `most` of them at most.

    Whoever answers a bell serves the line, so that queries leave in the order in which they were
    asked. Empty where nothing is due, or where the app's next slot is too far off to wait for. The
    next attempt of a query cannot begin before the grace has passed, so this is also the lease.
    """
    # Beginnings of one app happen one after the other, so that its slots are given out in order.
    app = apps.held(connection, sealer, app_name)
    ids = [time_ordered_id() for _ in range(most)]
    row = {"app": app_name, "ids": ids, "grace": grace_seconds, "most": most, **line.REACH_NUMBERS}
    begun = connection.execute(_BEGIN, row).fetchall()
    if not begun:
        return []
    slots = line.take_slots(connection, app_name, len(begun)) or line.Slots(0.0, 0.0)
    entries = shortcodes.held(connection, sealer, {one["shortcode"] for one in begun})
    return [
        Attempt(
            id=ids[one["place"] - 1],
            number=one["number"],
            query_id=one["query_id"],
            remarks=one["remarks"],
            wait=slots.wait_of(one["place"] - 1),
            entry=entries[one["shortcode"]],
            app=app,
        )
        for one in begun
    ]


#: The first in line, as many as there are slots near. Their earlier attempts that never heard anything
#: become unknown in the same statement. The limit is written out: the planner must know how few it wants.
#: Only those that have a slot are locked, and no more strictly than is needed: whoever joins such a query
#: must not wait for us, nor we for him.
_BEGIN: Final = sql.SQL("""
    WITH app AS (
        SELECT a.name, 1 + floor(
            ({reach} - greatest(
                extract(epoch FROM greatest(a.next_slot_at, clock_timestamp()) - clock_timestamp()), 0
            )) * a.requests_per_second / %(spacing)s
        ) AS slots
        FROM daraja_apps a
        WHERE a.name = %(app)s AND a.next_slot_at <= clock_timestamp() + make_interval(secs => {reach})
    ), due AS (
        SELECT q.id, q.created_at FROM app JOIN shortcodes s ON s.app = app.name
        JOIN balance_queries q USING (shortcode)
        WHERE {due} ORDER BY q.created_at, q.id LIMIT {together}
    ), first AS (
        SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM due
    ), locked AS (
        SELECT q.id, q.created_at FROM first JOIN app ON first.place <= least(%(most)s, app.slots)
        JOIN balance_queries q ON q.id = first.id
        WHERE q.state = 'pending' FOR NO KEY UPDATE OF q SKIP LOCKED
    ), placed AS (
        SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM locked
    ), taken AS (
        UPDATE balance_queries q SET
            attempts = attempts + 1,
            next_attempt_at = now() + make_interval(secs => %(grace)s)
        FROM placed WHERE q.id = placed.id AND q.state = 'pending'
        RETURNING placed.place, q.id, q.attempts, q.shortcode, q.remarks
    ), given_up AS (
        UPDATE submission_attempts a SET state = 'unknown' FROM taken
        WHERE a.query_id = taken.id AND a.state = 'sending'
    ), begun AS (
        INSERT INTO submission_attempts (id, query_id, number, sent_at)
        SELECT (%(ids)s::uuid[])[place], id, attempts, clock_timestamp() FROM taken
    )
    SELECT place, id AS query_id, attempts AS number, shortcode, remarks FROM taken ORDER BY place
""").format(reach=line.REACH, due=line.DUE, together=sql.Literal(TOGETHER))
