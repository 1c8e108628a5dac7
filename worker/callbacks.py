"""What Daraja said becomes moves: one transaction a callback, in any order, any number of times."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpesa_balance import attempts, inbox, outbox, queries
from mpesa_balance.attempts import Submitted
from mpesa_balance.callback_urls import TIMEOUT
from mpesa_balance.database import Connection
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import CallbackUnreadable, SealBroken
from mpesa_balance.inbox import Disposition
from mpesa_balance.queries import Ending
from mpesa_balance.results import Result, read_result
from mpesa_balance.sealing import Sealer
from mpesa_balance.states import Moved
from worker.house import House

logger = logging.getLogger(__name__)

Verdict = tuple[Disposition, str | None]

_TOPICS = {
    Disposition.CONFLICT: outbox.CALLBACK_CONFLICT,
    Disposition.UNMATCHED: outbox.CALLBACK_UNMATCHED,
    Disposition.UNREADABLE: outbox.CALLBACK_UNREADABLE,
}


def record(house: House, messages: Sequence[Mapping[str, str]]) -> None:
    """Record each delivery and make the move that follows from it."""
    for message in messages:
        delivery = Delivery.read(message)
        with house.database.transaction() as connection:
            _record_one(connection, house.database.sealer, delivery)


def _record_one(connection: Connection, sealer: Sealer, delivery: Delivery) -> None:
    recorded = inbox.record(connection, delivery)
    if not recorded.is_new:
        logger.info("callback %s came again", recorded.id)
        return
    submitted = attempts.find(connection, delivery.attempt_id)
    disposition, reason = _judge(connection, sealer, delivery, recorded.id, submitted)
    inbox.settle(connection, recorded.id, disposition, reason)
    query_id = submitted.query_id if submitted else None
    if topic := _TOPICS.get(disposition):
        outbox.add(connection, topic, reason or disposition, query_id, recorded.id)
    logger.info("callback %s of query %s: %s", recorded.id, query_id, disposition)


def _judge(
    connection: Connection,
    sealer: Sealer,
    delivery: Delivery,
    callback_id: int,
    submitted: Submitted | None,
) -> Verdict:
    if submitted is None:
        return Disposition.UNMATCHED, "the attempt that it answers is not in this database"
    attempts.answered_by_callback(connection, delivery.attempt_id)
    judgement = _Judgement(connection, sealer, delivery, callback_id, submitted)
    try:
        # The seal proves that it came through our door, whatever its bytes say.
        payload = sealer.open(delivery.payload, delivery.place)
        return judgement.timeout() if delivery.kind == TIMEOUT else judgement.result(payload)
    except (CallbackUnreadable, SealBroken) as error:
        return Disposition.UNREADABLE, str(error)


@dataclass(frozen=True, slots=True)
class _Judgement:
    """Decides about one callback whose attempt is known, and makes its move."""

    connection: Connection
    sealer: Sealer
    delivery: Delivery
    callback_id: int
    submitted: Submitted

    def timeout(self) -> Verdict:
        """Its address places it, whatever its body says: four shapes are known, one has no id."""
        ending = self._ending("queue timeout")
        if queries.time_out(self.connection, self.submitted.query_id, ending) is Moved.NOW:
            return Disposition.APPLIED, None
        return Disposition.NOTED, "the query had ended before"

    def result(self, payload: bytes) -> Verdict:
        result = read_result(payload)
        known = self.submitted.originator_conversation_id, self.submitted.conversation_id
        if result.has_ids_other_than(*known):
            return Disposition.UNMATCHED, "its conversation ids are not those of its attempt"
        if not result.is_final:
            return Disposition.NOTED, "more messages will follow"
        moved = self._complete(result) if result.is_success else self._fail(result)
        return (Disposition.APPLIED, None) if moved is Moved.NOW else self._compare(result, moved)

    def _complete(self, result: Result) -> Moved:
        balance = result.balance()
        query_id, ending = self.submitted.query_id, self._ending("result", result)
        moved = queries.complete(self.connection, query_id, ending)
        if moved is Moved.NOW:
            inbox.store_balance(
                self.connection,
                self.sealer,
                query_id,
                self.callback_id,
                balance,
                result.raw_balance,
            )
        return moved

    def _fail(self, result: Result) -> Moved:
        ending = self._ending("result", result)
        return queries.fail(self.connection, self.submitted.query_id, ending)

    def _compare(self, result: Result, moved: Moved) -> Verdict:
        """A result that came second agrees with the first, or is kept as a conflict."""
        earlier = inbox.applied_payload(self.connection, self.sealer, self.delivery.attempt_id)
        if earlier is not None:
            first = read_result(earlier)
            same = (first.code, first.parameters) == (result.code, result.parameters)
        else:
            same = moved is Moved.BEFORE
        if same:
            return Disposition.NOTED, "the query had ended so before"
        return Disposition.CONFLICT, f"the query had ended otherwise before this {result.code}"

    def _ending(self, cause: str, result: Result | None = None) -> Ending:
        return Ending(
            cause=cause,
            attempt_id=self.delivery.attempt_id,
            callback_id=self.callback_id,
            result_code=result.code if result else None,
            result_description=result.description if result else None,
            transaction_id=result.transaction_id if result else None,
            completed_at=result.completed_at if result else None,
        )
