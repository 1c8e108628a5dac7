"""What a recorded callback says and what follows from it: its move, its disposition, who is told."""

from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from mpesa_balance import attempts, breaker, inbox, outbox, queries, stored_balances
from mpesa_balance.attempts import Heard, Submitted
from mpesa_balance.callback_urls import TIMEOUT
from mpesa_balance.database import Connection
from mpesa_balance.errors import CallbackUnreadable, SealBroken
from mpesa_balance.inbox import Disposition, Kept
from mpesa_balance.queries import Ending
from mpesa_balance.result_codes import Action, Where, action_for, advice_for
from mpesa_balance.results import Result, read_result
from mpesa_balance.retries import RetrySchedule
from mpesa_balance.sealing import Sealer
from mpesa_balance.states import Moved
from mpesa_balance.stored_balances import Brought


class Verdict(NamedTuple):
    """What became of a callback, and why where that is not plain."""

    disposition: Disposition
    reason: str | None = None
    query_id: UUID | None = None


_TOPICS: Final = {
    Disposition.CONFLICT: outbox.CALLBACK_CONFLICT,
    Disposition.UNMATCHED: outbox.CALLBACK_UNMATCHED,
    Disposition.UNREADABLE: outbox.CALLBACK_UNREADABLE,
}


def judge(
    connection: Connection, sealer: Sealer, kept: Kept, schedule: RetrySchedule, replayed_by: str = ""
) -> Verdict:
    """Make the move that follows from a callback, and settle what became of it.

    Judging the same callback again changes nothing that stands: what was applied stays so, and the
    machine refuses what may not follow. Somebody is told where the disposition is a new one.
    """
    verdict = _verdict(connection, sealer, kept, schedule, replayed_by)
    inbox.settle(connection, [kept.id], verdict.disposition, verdict.reason)
    topic = _TOPICS.get(verdict.disposition)
    if topic and verdict.disposition is not kept.disposition:
        outbox.add(connection, topic, verdict.reason or topic, verdict.query_id, kept.id)
    return verdict


def _verdict(
    connection: Connection, sealer: Sealer, kept: Kept, schedule: RetrySchedule, replayed_by: str
) -> Verdict:
    submitted = attempts.find(connection, [kept.attempt_id]).get(kept.attempt_id)
    if submitted is None:
        return Verdict(Disposition.UNMATCHED, "the attempt that it answers is not in this database")
    attempts.heard_of(connection, [Heard(kept.attempt_id)])
    judgement = _Judgement(connection, sealer, kept, submitted, schedule, replayed_by)
    try:
        # The seal proves that it came through our door, whatever its bytes say.
        payload = sealer.open(kept.payload, kept.place)
        found = judgement.timeout() if kept.kind == TIMEOUT else judgement.result(payload)
    except (CallbackUnreadable, SealBroken) as error:
        found = Verdict(Disposition.UNREADABLE, str(error))
    return found._replace(query_id=submitted.query_id)


def ending_by(cause: str, kept: Kept, result: Result | None = None) -> Ending:
    """The ending that a callback brings."""
    return Ending(
        cause=cause,
        attempt_id=kept.attempt_id,
        callback_id=kept.id,
        result_code=result.code if result else None,
        result_description=result.description if result else None,
        transaction_id=result.transaction_id if result else None,
        completed_at=result.completed_at if result else None,
    )


@dataclass(frozen=True, slots=True)
class _Judgement:
    """Decides about one callback whose attempt is known, and makes its move."""

    connection: Connection
    sealer: Sealer
    kept: Kept
    submitted: Submitted
    schedule: RetrySchedule
    replayed_by: str

    def timeout(self) -> Verdict:
        """Its address places it, whatever its body says: four shapes are known, one has no id."""
        ending = self._ending("queue timeout")
        if queries.time_out(self.connection, self.submitted.query_id, ending) is Moved.NOW:
            return Verdict(Disposition.APPLIED)
        return Verdict(Disposition.NOTED, "the query had ended before")

    def result(self, payload: bytes) -> Verdict:
        result = read_result(payload)
        if result.has_ids_other_than(*self.submitted.ids):
            return Verdict(Disposition.UNMATCHED, "its conversation ids are not those of its attempt")
        ids = result.originator_conversation_id, result.conversation_id
        attempts.heard_of(self.connection, [Heard(self.kept.attempt_id, *ids)])
        if not result.is_final:
            return Verdict(Disposition.NOTED, "more messages will follow")
        moved = self._complete(result) if result.is_success else self._fail(result)
        return Verdict(Disposition.APPLIED) if moved is Moved.NOW else self._compare(result, moved)

    def _complete(self, result: Result) -> Moved:
        query_id = self.submitted.query_id
        brought = Brought(query_id, self.kept.id, result.balance(), result.raw_balance)
        moved = queries.complete(self.connection, query_id, self._ending("result", result))
        if moved is Moved.NOW:
            stored_balances.store(self.connection, self.sealer, [brought])
        return moved

    def _fail(self, result: Result) -> Moved:
        ending = self._ending("result", result)
        action = action_for(result.code, result.description, Where.RESULT)
        query_id = self.submitted.query_id
        retries = queries.retries_of(self.connection, query_id)
        retry_after = self.schedule.wait(action, retries)
        moved = queries.fail(self.connection, query_id, ending, retry_after)
        # Also where the query had failed before: it is the initiator who was refused.
        if moved is not Moved.NOT and action is Action.SUSPEND:
            because = f"M-PESA said {result.code}, {result.description or 'without a description'}"
            advice = advice_for(result.code, result.description, Where.RESULT) or ""
            breaker.suspend_after(self.connection, self.kept.attempt_id, because, advice)
        return moved

    def _compare(self, result: Result, moved: Moved) -> Verdict:
        """A result that came second agrees with the first, or is kept as a conflict."""
        earlier = inbox.applied_callback(self.connection, self.kept.attempt_id)
        if earlier is None:
            same = moved is Moved.BEFORE
        else:
            first = read_result(self.sealer.open(earlier.payload, earlier.place))
            same = (first.code, first.parameters) == (result.code, result.parameters)
        if same:
            return Verdict(Disposition.NOTED, "the query stood in this state before")
        return Verdict(Disposition.CONFLICT, f"the query had ended otherwise before this {result.code}")

    def _ending(self, cause: str, result: Result | None = None) -> Ending:
        told = f"{cause}, replayed by {self.replayed_by}" if self.replayed_by else cause
        return ending_by(told, self.kept, result)
