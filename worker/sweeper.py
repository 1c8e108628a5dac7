"""The sweeper: any number of them, any number of times, each tick changing only what is due."""

from typing import Final

from mpesa_balance import inbox, line, logs, outbox, passwords, queries
from mpesa_balance.crash_points import CrashPoint, crash_at
from worker import alerting, endings
from worker.house import House

logger = logs.get_logger(__name__)

#: A submission that was rung this long ago and did not begin has lost its message.
RING_AGAIN_AFTER: Final = 20


def sweep(house: House) -> None:
    """Time out what nobody answered, ring what is due, look at passwords, tell what happened."""
    with house.database.transaction() as connection:
        for query_id in queries.time_out_overdue(connection):
            logger.warning("query_timed_out", query_id=query_id)
        crash_at(CrashPoint.TIMEOUTS_NOT_COMMITTED)
    ring(house)
    with house.database.transaction() as connection:
        unfinished = inbox.ring_unfinished(connection)
    for callback_id in unfinished:
        house.bells.judge(callback_id)
    endings.follow(house)
    with house.database.transaction() as connection:
        passwords.tell_of_old_passwords(connection)
    with house.database.transaction() as connection:
        notices = outbox.take(connection)
        alerting.tell_of(connection, house.database.sealer, notices)
        for notice in notices:
            logger.warning(
                "notice_told",
                notice_id=notice.id,
                topic=notice.topic,
                query_id=notice.query_id,
                callback_id=notice.callback_id,
                shortcode=notice.shortcode,
                message=notice.message,
            )
        crash_at(CrashPoint.NOTICES_NOT_COMMITTED)
    alerting.look(house)


def ring(house: House) -> None:
    """Ring for the first in the line of each app."""
    with house.database.transaction() as connection:
        due = line.ring_due(connection, RING_AGAIN_AFTER, house.settings.sweep_interval)
    crash_at(CrashPoint.BELLS_NOT_RUNG)
    # Rung after the commit: a worker that is quicker than us must find the row.
    for query_id in due:
        house.bells.submit(query_id)
