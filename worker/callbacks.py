"""What Daraja said is recorded at once and judged after that: together where it is plain."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from structlog.contextvars import bound_contextvars

from mpesa_balance import completions, inbox, judgement, logs
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.database import DATABASE_FAULTS
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import Unavailable
from mpesa_balance.inbox import Disposition
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
    if new:
        crash_at(CrashPoint.JUDGEMENT_NOT_BEGUN)
        for callback_id in _left_by_completing(house, new):
            _judge(house, callback_id)
        endings.follow(house)


def judge_again(house: House, callback_id: int) -> None:
    """Judge a callback whose worker ended meanwhile; alone, so that it can hold up no other."""
    with house.database.transaction() as connection:
        is_ours = inbox.take_up(connection, callback_id)
    if is_ours:
        _judge(house, callback_id)
        endings.follow(house)


def _left_by_completing(house: House, callback_ids: list[int]) -> list[int]:
    """Complete, at once, the queries whose callbacks plainly bring balances; give the other callbacks."""
    try:
        with _unavailable_is_no_fault_of(house, callback_ids):
            completed = _complete(house, callback_ids)
    except DATABASE_FAULTS as fault:
        # Each by itself: one that Postgres does not take must not hold up the others.
        logger.warning("callbacks_judged_alone", reason=type(fault).__name__)
        return callback_ids
    return [one for one in callback_ids if one not in completed]


def _complete(house: House, callback_ids: list[int]) -> Mapping[int, UUID]:
    with house.database.transaction() as connection:
        completed = completions.complete(connection, house.database.sealer, callback_ids)
        crash_at(CrashPoint.COMPLETIONS_NOT_COMMITTED)
    crash_at(CrashPoint.COMPLETIONS_NOT_TOLD)
    if completed:
        logger.info(
            "callbacks_settled", query_ids=list(completed.values()), disposition=Disposition.APPLIED
        )
    return completed


def _judge(house: House, callback_id: int) -> None:
    with (
        bound_contextvars(callback_id=callback_id),
        _unavailable_is_no_fault_of(house, [callback_id]),
    ):
        _judge_once(house, callback_id)


@contextmanager
def _unavailable_is_no_fault_of(house: House, callback_ids: list[int]) -> Iterator[None]:
    try:
        yield
    except Unavailable:
        # It must not be counted as one: see `inbox.MOST_JUDGINGS`.
        with house.database.transaction() as connection:
            inbox.put_back(connection, callback_ids)
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
