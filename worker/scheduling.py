"""Schedules that are due become requests: each tick one, in the transaction that moves its schedule on."""

from typing import Final

from mpesa_balance import logs, schedules
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.errors import RequestRefused
from worker import intake
from worker.house import House

logger = logs.get_logger(__name__)

#: So many are opened a tick at most, which takes seconds; the others are due at the next one.
_MOST: Final = 2000


def open_due(house: House) -> None:
    """Plan what is new, and ask for every shortcode that is due."""
    speed = house.settings.schedule_speed
    with house.database.transaction() as connection:
        schedules.plan(connection, speed)
    for _ in range(_MOST):
        if not _open_one(house, speed):
            return


def _open_one(house: House, speed: float) -> bool:
    with house.database.transaction() as connection:
        due = schedules.take_due(connection, speed)
        if due is None:
            return False
        ask = BalanceAsk(shortcode=due.shortcode, requested_by=f"schedule {due.id}")
        try:
            # What is refused takes back nothing but itself.
            with connection.transaction():
                given = intake.answer(connection, house, due.request_id, ask)
        except RequestRefused as refused:
            given = None
            intake.record_refusal(connection, due.request_id, due.shortcode, refused, ask)
        crash_at(CrashPoint.SCHEDULE_NOT_COMMITTED)
    logger.info("schedule_was_due", schedule_id=due.id, request_id=due.request_id, shortcode=due.shortcode)
    if given is not None:
        intake.go_on(house, due.request_id, given)
    return True
