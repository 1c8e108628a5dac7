"""What Daraja said is recorded at once, and judged after that: one transaction a callback, in any order."""

from collections.abc import Mapping, Sequence
from typing import Any

from structlog.contextvars import bound_contextvars

from mpesa_balance import inbox, judgement, logs
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import Unavailable
from worker import endings, metrics
from worker.house import House

logger = logs.get_logger(__name__)


def record(house: House, messages: Sequence[Mapping[str, Any]], spool: str | None = None) -> None:
    """Record deliveries, tell the spool that has them so, and make the moves that follow from them."""
    deliveries = [Delivery.read(message) for message in messages]
    with house.database.transaction() as connection:
        new = inbox.record(connection, deliveries)
        crash_at(CrashPoint.CALLBACKS_NOT_COMMITTED)
    metrics.recorded(len(new), len(deliveries) - len(new))
    crash_at(CrashPoint.RECEIPT_NOT_SENT)
    if spool is not None:
        house.receipts.send(spool, [message["number"] for message in messages])
    crash_at(CrashPoint.JUDGEMENT_NOT_BEGUN)
    for callback_id in new:
        _judge(house, callback_id)
    endings.follow(house)


def judge_again(house: House, callback_id: int) -> None:
    """Judge a callback whose worker ended meanwhile; alone, so that it can hold up no other."""
    with house.database.transaction() as connection:
        is_ours = inbox.take_up(connection, callback_id)
    if is_ours:
        _judge(house, callback_id)
        endings.follow(house)


def _judge(house: House, callback_id: int) -> None:
    try:
        with bound_contextvars(callback_id=callback_id):
            _judge_once(house, callback_id)
    except Unavailable:
        # It is no fault of the callback, and must not be counted as one: see `inbox.MOST_JUDGINGS`.
        with house.database.transaction() as connection:
            inbox.put_back(connection, callback_id)
        raise


def _judge_once(house: House, callback_id: int) -> None:
    with house.database.transaction() as connection:
        kept = inbox.find(connection, callback_id)
        if kept.disposition is not None:
            return
        verdict = judgement.judge(connection, house.database.sealer, kept, house.settings.retries)
        crash_at(CrashPoint.JUDGEMENT_NOT_COMMITTED)
    crash_at(CrashPoint.JUDGEMENT_NOT_TOLD)
    logger.info(
        "callback_settled",
        query_id=verdict.query_id,
        attempt_id=kept.attempt_id,
        disposition=verdict.disposition,
    )
