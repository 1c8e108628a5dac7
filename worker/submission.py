"""Putting the first in line to Daraja, and what becomes of it by the class of the answer alone."""

from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from kombu.utils.functional import retry_over_time
from structlog.contextvars import bound_contextvars

from mpesa_balance import attempts, breaker, line, logs, outbox, queries
from mpesa_balance.apps import App
from mpesa_balance.attempts import Answer, Attempt
from mpesa_balance.callback_urls import RESULT, TIMEOUT
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.daraja_request import DarajaRequest
from mpesa_balance.database import Connection
from mpesa_balance.errors import (
    AppRefused,
    CredentialsRefused,
    DarajaError,
    DarajaRefused,
    DarajaThrottled,
    DarajaTokenInvalid,
    DarajaUnclear,
    DatabaseUnavailable,
    RequestRefused,
    SealBroken,
    Unavailable,
)
from mpesa_balance.happenings import QueryMoved
from mpesa_balance.queries import Ending
from mpesa_balance.result_codes import Action, advice_for
from mpesa_balance.shortcodes import Shortcode
from worker import endings, metrics
from worker.answers import Acknowledgement
from worker.credentials import security_credential
from worker.house import House
from worker.turns import Turn

logger = logs.get_logger(__name__)

#: How soon to try again where a fault of ours kept us from asking, in seconds.
_AFTER_OUR_FAULT: Final = 5

#: What came back, or what of ours kept us from asking.
Outcome = Acknowledgement | DarajaError | Unavailable | SealBroken

#: How soon a query is looked at again whose credential cannot be opened: a person must act first.
_AFTER_BROKEN_SEAL: Final = 60


def submit(house: House, query_id: UUID) -> None:
    """Submit the first query in the line of this one's app, if it is due; record what Daraja answered.

    The attempt is committed before anything is sent, and no transaction is open meanwhile: a
    process that dies in between leaves an attempt whose callback still finds its query.
    """
    with bound_contextvars(query_id=query_id):
        begun = _begin(house, query_id)
    if begun is not None:
        attempt, token = begun
        with bound_contextvars(query_id=attempt.query_id, attempt_id=attempt.id):
            _submit(house, attempt, token)


def _begin(house: House, query_id: UUID) -> tuple[Attempt, str | DarajaError | Unavailable] | None:
    """The attempt that is due, committed, and the token for it or why there is none."""
    with house.database.transaction() as connection:
        app = line.app_of(connection, house.database.sealer, query_id)
    if app is None:
        logger.warning("query_unknown", reason="it is not known here, and was not submitted")
        return None
    # Before a slot is taken: whoever waits for a token to be minted would miss it.
    token = _token(house, app)
    with house.database.transaction() as connection:
        grace = house.settings.submission_grace + house.settings.daraja_timeout
        attempt = attempts.begin(connection, house.database.sealer, app, query_id, grace)
        crash_at(CrashPoint.ATTEMPT_NOT_COMMITTED)
    if attempt is None:
        logger.info("nothing_due")
        return None
    return attempt, token


def _submit(house: House, attempt: Attempt, token: str | DarajaError | Unavailable) -> None:
    crash_at(CrashPoint.ATTEMPT_NOT_SENT)
    outcome = _ask(house, attempt, token) if isinstance(token, str) else token
    crash_at(CrashPoint.ANSWER_NOT_RECORDED)
    # What Daraja said exists only here: a Postgres that is away for a moment must not lose it.
    retry_over_time(
        partial(_record, house, attempt, outcome),
        DatabaseUnavailable,
        max_retries=8,
        interval_start=0.2,
        interval_step=0.4,
        interval_max=2,
    )


def _token(house: House, app: App) -> str | DarajaError | Unavailable:
    """The app's token, or as a value why there is none."""
    try:
        return house.tokens.current(app)
    except (DarajaError, Unavailable) as error:
        return error


def _ask(house: House, attempt: Attempt, token: str) -> Outcome:
    """Daraja's answer as a value, with one fresh token where the shared one was not accepted."""
    turn = Turn(house.database, attempt)
    if isinstance(attempt.entry, SealBroken):
        return attempt.entry
    try:
        body = _request_body(house, attempt, attempt.entry)
        turn.come()
        try:
            return house.daraja.ask(attempt.app, token, body)
        except DarajaTokenInvalid:
            token = house.tokens.replace(attempt.app, token)
            turn.come()
            return house.daraja.ask(attempt.app, token, body)
    except (DarajaError, Unavailable) as error:
        return error


def _record(house: House, attempt: Attempt, outcome: Outcome) -> None:
    with house.database.transaction() as connection:
        queries.lock(connection, attempt.query_id)
        state = _Recorder(house, connection, attempt).record(outcome)
        waiting = line.ring_next(connection, attempt.app.name)
        has_ended = any(isinstance(one, QueryMoved) and one.is_ending for one in connection.happened)
        crash_at(CrashPoint.ANSWER_NOT_COMMITTED)
    metrics.submitted(state)
    if waiting is not None:
        crash_at(CrashPoint.NEXT_NOT_RUNG)
        house.bells.submit(waiting)
    if has_ended:
        endings.follow(house)


def _request_body(house: House, attempt: Attempt, entry: Shortcode) -> dict[str, str]:
    """What is sent. Raises DarajaRefused where Daraja would refuse it, with everything that is wrong."""
    urls = house.settings.callbacks.signer.urls(house.settings.callback_base_url, attempt.id)
    try:
        request = DarajaRequest(
            initiator=entry.initiator,
            security_credential=security_credential(entry, attempt.app),
            party_a=entry.shortcode,
            identifier_type=entry.identifier_type,
            remarks=attempt.remarks,
            result_url=urls[RESULT],
            queue_timeout_url=urls[TIMEOUT],
        )
        request.check(production=attempt.app.is_production)
    except RequestRefused as refused:
        raise DarajaRefused(f"nothing was sent, because Daraja would refuse it: {refused}") from None
    return request.body()


@dataclass(frozen=True, slots=True)
class _Recorder:
    """Records the outcome of one attempt in one transaction."""

    house: House
    connection: Connection
    attempt: Attempt

    def record(self, outcome: Outcome) -> str:
        """Give what became of the attempt: a state of it, or that it was withdrawn."""
        if isinstance(outcome, Acknowledgement):
            return self._acknowledged(outcome)
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

    def _acknowledged(self, taken: Acknowledgement) -> str:
        answer = Answer(
            state=attempts.ACKNOWLEDGED,
            http_status=taken.http_status,
            code=taken.code,
            description=taken.description,
            originator_conversation_id=taken.originator_conversation_id,
            conversation_id=taken.conversation_id,
        )
        attempts.answer(self.connection, self.attempt.id, answer)
        # A result that came first has moved the query already; then this only fills in the ids.
        moved = queries.acknowledge(self.connection, self.attempt.query_id, self.attempt.id)
        logger.info("query_acknowledged", moved=moved.value)
        return attempts.ACKNOWLEDGED

    def _answered(self, state: str, error: DarajaError) -> str:
        answer = Answer(state=state, http_status=error.http_status, code=error.code, description=str(error))
        attempts.answer(self.connection, self.attempt.id, answer)
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
        if wait is None or not attempts.try_again_after(self.connection, query_id, wait):
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
