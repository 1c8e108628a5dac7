"""What becomes of a query by what came back for its attempt: by the class of the answer alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, TypeVar

from kombu.utils.functional import retry_over_time
from structlog.contextvars import bound_contextvars

from mpesa_balance import attempts, breaker, line, logs, outbox, queries
from mpesa_balance.attempts import Answer, Attempt
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.database import Connection
from mpesa_balance.errors import (
    AppRefused,
    CredentialsRefused,
    DarajaError,
    DarajaRefused,
    DarajaThrottled,
    DarajaUnclear,
    DatabaseUnavailable,
    SealBroken,
    Unavailable,
)
from mpesa_balance.happenings import QueryMoved
from mpesa_balance.queries import Ending
from mpesa_balance.result_codes import Action, advice_for
from worker import endings, metrics
from worker.answers import Acknowledgement
from worker.house import House

logger = logs.get_logger(__name__)

#: How soon to try again where a fault of ours kept us from asking, in seconds.
_AFTER_OUR_FAULT: Final = 5

#: How soon a query is looked at again whose credential cannot be opened: a person must act first.
_AFTER_BROKEN_SEAL: Final = 60

#: Why Daraja did not take it, or what of ours kept us from asking.
NotTaken = DarajaError | Unavailable | SealBroken

#: What became of asking.
Outcome = Acknowledgement | NotTaken

Written = TypeVar("Written")


class Answered(NamedTuple):
    """An attempt and what came back for it."""

    attempt: Attempt
    outcome: Outcome


class _Taken(NamedTuple):
    """An attempt that Daraja took."""

    attempt: Attempt
    said: Acknowledgement

    @property
    def answer(self) -> Answer:
        return Answer(
            state=attempts.ACKNOWLEDGED,
            http_status=self.said.http_status,
            code=self.said.code,
            description=self.said.description,
            originator_conversation_id=self.said.originator_conversation_id,
            conversation_id=self.said.conversation_id,
        )


def record(house: House, answered: Sequence[Answered]) -> bool:
    """Record what came back for attempts of one app: what Daraja took together, the rest one by one.

    Whether somebody is next in the app's line, who need not wait for long.
    """
    goes_on = has_ended = False
    taken = [_Taken(attempt, said) for attempt, said in answered if isinstance(said, Acknowledgement)]
    if taken:
        goes_on = _patiently(partial(_record_taken, house, taken))
    for attempt, outcome in answered:
        if not isinstance(outcome, Acknowledgement):
            with bound_contextvars(query_id=attempt.query_id, attempt_id=attempt.id):
                goes_on, ended = _patiently(partial(_record_other, house, attempt, outcome))
            has_ended = has_ended or ended
    if has_ended:
        endings.follow(house)
    return goes_on


def _patiently(write: Callable[[], Written]) -> Written:
    # What Daraja said exists only here: a Postgres that is away for a moment must not lose it.
    written: Written = retry_over_time(
        write,
        DatabaseUnavailable,
        max_retries=8,
        interval_start=0.2,
        interval_step=0.4,
        interval_max=2,
    )
    return written


def _record_taken(house: House, taken: Sequence[_Taken]) -> bool:
    asked = {one.attempt.query_id: one.attempt.id for one in taken}
    with _recording(house, [one.attempt for one in taken]) as connection:
        attempts.answer(connection, {one.attempt.id: one.answer for one in taken})
        # A result that came first has moved the query already; then this only fills in the ids.
        moved = queries.acknowledge(connection, asked)
        goes_on = line.first_of(connection, taken[0].attempt.app.name) is not None
    for query_id, attempt_id in asked.items():
        metrics.submitted(attempts.ACKNOWLEDGED)
        logger.info("query_acknowledged", query_id=query_id, attempt_id=attempt_id, moved=query_id in moved)
    return goes_on


def _record_other(house: House, attempt: Attempt, outcome: NotTaken) -> tuple[bool, bool]:
    """Whether the line goes on, and whether the query has ended."""
    with _recording(house, [attempt]) as connection:
        state = _Recorder(house, connection, attempt).record(outcome)
        goes_on = line.first_of(connection, attempt.app.name) is not None
        has_ended = any(isinstance(one, QueryMoved) and one.is_ending for one in connection.happened)
    metrics.submitted(state)
    return goes_on, has_ended


@contextmanager
def _recording(house: House, answered: Sequence[Attempt]) -> Iterator[Connection]:
    """A transaction in which nobody else writes to the queries of these attempts."""
    with house.database.transaction() as connection:
        queries.lock(connection, [one.query_id for one in answered])
        yield connection
        crash_at(CrashPoint.ANSWER_NOT_COMMITTED)


@dataclass(frozen=True, slots=True)
class _Recorder:
    """Records in one transaction that one attempt was not acknowledged."""

    house: House
    connection: Connection
    attempt: Attempt

    def record(self, outcome: NotTaken) -> str:
        """Give what became of the attempt: a state of it, or that it was withdrawn."""
        if isinstance(outcome, DarajaUnclear):
            # Its callback may still come; the grace that began with the attempt runs on.
            return self._answered(attempts.UNKNOWN, outcome)
        if isinstance(outcome, DarajaRefused):
            state = self._answered(attempts.REFUSED, outcome)
            self._fail(outcome)
            return state
        if isinstance(outcome, DarajaError):
            state = self._answered(attempts.NOT_TAKEN, outcome)
            self._try_again(outcome)
            return state
        # Nothing was sent, and that was our fault: it counts for nothing and fails no query.
        wait = _AFTER_BROKEN_SEAL if isinstance(outcome, SealBroken) else _AFTER_OUR_FAULT
        attempts.withdraw(self.connection, self.attempt.id, wait)
        logger.warning("query_not_submitted", reason=str(outcome))
        return metrics.WITHDRAWN

    def _answered(self, state: str, error: DarajaError) -> str:
        answer = Answer(state=state, http_status=error.http_status, code=error.code, description=str(error))
        attempts.answer(self.connection, {self.attempt.id: answer})
        logger.warning(
            "submission_not_acknowledged",
            state=state,
            code=error.code,
            http_status=error.http_status,
            reason=str(error),
        )
        return state

    def _try_again(self, error: DarajaError) -> None:
        schedule, number = self.house.settings.retries, self.attempt.number
        is_quota = isinstance(error, DarajaThrottled)
        wait = schedule.wait(Action.RETRY_LATER if is_quota else Action.RETRY, number - 1)
        if is_quota:
            # The quota is the app's: whatever else it sends now would be refused as well.
            line.hold_back(self.connection, self.attempt.app.name, schedule.quota_backoff)
        query_id = self.attempt.query_id
        goes_on = wait is not None and attempts.try_again_after(self.connection, query_id, number, wait)
        # What Daraja did not take says nothing of what it may have taken before.
        if not goes_on and attempts.is_last_hope(self.connection, query_id, number):
            self._fail(error)

    def _fail(self, error: DarajaError) -> None:
        ending = Ending(
            cause="submission",
            attempt_id=self.attempt.id,
            result_code=error.code,
            result_description=str(error),
        )
        queries.fail(self.connection, self.attempt.query_id, ending)
        if isinstance(error, CredentialsRefused):
            because = f"Daraja said {error.code or 'no code'}, {error}"
            advice = advice_for(error.code, str(error)) or ""
            breaker.suspend_after(self.connection, self.attempt.id, because, advice)
        elif isinstance(error, AppRefused):
            outbox.add(self.connection, outbox.APP_REFUSED, str(error), self.attempt.query_id)
