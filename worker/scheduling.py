"""Schedules that are due become requests: each tick one, in the transaction that moves its schedule on."""

from typing import Final

from mpesa_balance import logs, schedules
from mpesa_balance.balance_requests import Answer
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.database import Connection
from mpesa_balance.errors import RequestRefused
from mpesa_balance.schedules import Schedule
from worker import endings, intake, sweeper
from worker.house import House

logger = logs.get_logger(__name__)

#: So many are opened in one transaction. The locks on their shortcodes are held that long, a tenth of a
#: second; whoever asks for one of these shortcodes meanwhile waits.
_BATCH: Final = 100

#: A tick is taken up to some seconds after it was due: of two that are a minimum interval apart the second
#: must not be too soon because the first was late. In seconds.
_SLACK: Final = 30

#: So many batches a tick at most, which takes seconds; the others are due at the next one.
_BATCHES: Final = 40


def open_due(house: House) -> None:
    """Plan what is new, and ask for every shortcode that is due."""
    speed = house.settings.schedule_speed
    with house.database.transaction() as connection:
        schedules.plan(connection, speed)
    opened = False
    for _ in range(_BATCHES):
        due = _open_batch(house, speed)
        opened = opened or bool(due)
        if due < _BATCH:
            break
    if opened:
        sweeper.ring(house)


def _open_batch(house: House, speed: float) -> int:
    """Open what is due; gives how many there were."""
    with house.database.transaction() as connection:
        due = schedules.take_due(connection, speed, _BATCH)
        given = [_answer(connection, house, one) for one in due]
        crash_at(CrashPoint.SCHEDULE_NOT_COMMITTED)
    for one, answered in zip(due, given, strict=True):
        logger.info(
            "schedule_was_due", schedule_id=one.id, request_id=one.request_id, shortcode=one.shortcode
        )
        if answered is not None:
            intake.observe(one.request_id, answered)
    endings.follow(house)
    return len(due)


def _answer(connection: Connection, house: House, due: Schedule) -> Answer | None:
    ask = BalanceAsk(shortcode=due.shortcode, requested_by=f"schedule {due.id}")
    try:
        return intake.answer(connection, house, due.request_id, ask, slack=_SLACK)
    except RequestRefused as refused:
        intake.record_refusal(connection, due.request_id, due.shortcode, refused, ask)
        return None
