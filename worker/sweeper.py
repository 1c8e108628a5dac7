"""The sweeper: any number of them, any number of times, each tick changing only what is due."""

from mpesa_balance import inbox, line, logs, outbox, passwords, queries
from mpesa_balance.crash_points import CrashPoint, crash_at
from worker import alerting, endings, lines
from worker.house import House

logger = logs.get_logger(__name__)


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
    # Also what nobody has told whose process ended, or whose broker was away.
    house.replies_due.set()
    endings.follow(house)
    with house.database.transaction() as connection:
        passwords.tell_of_old_passwords(connection)
    # What a balance has answered is over before the next fault is told of.
    alerting.examine_all(house)
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
    """Ring for the line of each app that may go on before the next tick."""
    with house.database.transaction() as connection:
        first = line.first_of_each(connection, house.settings.sweep_interval)
    crash_at(CrashPoint.BELLS_NOT_RUNG)
    for app, query_id in first.items():
        lines.ring(house, app, query_id)
