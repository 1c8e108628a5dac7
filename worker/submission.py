"""Putting one query to Daraja, and what becomes of it by the class of the answer alone."""

import logging
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from kombu.utils.functional import retry_over_time

from mpesa_balance import attempts, queries
from mpesa_balance.attempts import Answer, Attempt
from mpesa_balance.database import Connection
from mpesa_balance.errors import (
    DarajaError,
    DarajaRefused,
    DarajaThrottled,
    DarajaTokenInvalid,
    DarajaUnclear,
    DatabaseUnavailable,
    Unavailable,
)
from mpesa_balance.queries import Ending
from worker.credentials import security_credential
from worker.daraja import Acknowledgement
from worker.house import House

logger = logging.getLogger(__name__)

#: What came back, or what of ours kept us from asking.
Outcome = Acknowledgement | DarajaError | Unavailable


def submit(house: House, query_id: UUID) -> None:
    """Submit a query if it is due and nobody else is at it; record what Daraja answered.

    The attempt is committed before anything is sent, and no transaction is open meanwhile: a
    process that dies in between leaves an attempt whose callback still finds its query.
    """
    with house.database.transaction() as connection:
        grace = house.settings.submission_grace + house.settings.daraja_timeout
        attempt = attempts.begin(connection, house.database.sealer, query_id, grace)
    if attempt is None:
        logger.info("query %s is not due for submission", query_id)
        return
    outcome = _ask(house, attempt)
    # What Daraja said exists only here: a Postgres that is away for a moment must not lose it.
    retry_over_time(
        partial(_record, house, attempt, outcome),
        DatabaseUnavailable,
        max_retries=8,
        interval_start=0.2,
        interval_step=0.4,
        interval_max=2,
    )


def _record(house: House, attempt: Attempt, outcome: Outcome) -> None:
    with house.database.transaction() as connection:
        queries.lock(connection, attempt.query_id)
        _Recorder(house, connection, attempt).record(outcome)


def _ask(house: House, attempt: Attempt) -> Outcome:
    """Daraja's answer as a value, with one fresh token where the shared one was not accepted."""
    try:
        body = _request_body(house, attempt)
        token = house.tokens.current(attempt.app)
        try:
            return house.daraja.ask(attempt.app, token, body)
        except DarajaTokenInvalid:
            return house.daraja.ask(attempt.app, house.tokens.replace(attempt.app, token), body)
    except (DarajaError, Unavailable) as error:
        return error


def _request_body(house: House, attempt: Attempt) -> dict[str, str]:
    """The eight fields of the request, and no other (Daraja's Account Balance page)."""
    urls = house.settings.callbacks.signer.urls(house.settings.callback_base_url, attempt.id)
    return {
        "Initiator": attempt.shortcode.initiator,
        "SecurityCredential": security_credential(attempt.shortcode, attempt.app),
        "CommandID": "AccountBalance",
        "PartyA": attempt.shortcode.shortcode,
        "IdentifierType": str(attempt.shortcode.identifier_type),
        "Remarks": attempt.remarks,
        **urls,
    }


@dataclass(frozen=True, slots=True)
class _Recorder:
    """Records the outcome of one attempt in one transaction."""

    house: House
    connection: Connection
    attempt: Attempt

    def record(self, outcome: Outcome) -> None:
        if isinstance(outcome, Acknowledgement):
            self._acknowledged(outcome)
        elif isinstance(outcome, DarajaUnclear):
            # Its callback may still come; the grace that began with the attempt runs on.
            self._answered(attempts.UNKNOWN, outcome)
        elif isinstance(outcome, DarajaRefused):
            self._answered(attempts.REFUSED, outcome)
            self._fail(outcome)
        elif isinstance(outcome, DarajaError):
            self._answered(attempts.NOT_TAKEN, outcome)
            self._try_again(outcome)
        else:
            # Nothing was sent, and that was our fault: it counts for nothing and fails no query.
            wait = self.house.settings.submission_backoff[0]
            attempts.withdraw(self.connection, self.attempt.id, wait)
            logger.warning("query %s was not submitted: %s", self.attempt.query_id, outcome)

    def _acknowledged(self, taken: Acknowledgement) -> None:
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
        logger.info("query %s acknowledged (%s)", self.attempt.query_id, moved.value)

    def _answered(self, state: str, error: DarajaError) -> None:
        answer = Answer(state=state, http_status=error.http_status, code=error.code, description=str(error))
        attempts.answer(self.connection, self.attempt.id, answer)
        logger.warning("query %s %s: %s", self.attempt.query_id, state.replace("_", " "), error)

    def _try_again(self, error: DarajaError) -> None:
        backoff = self.house.settings.submission_backoff
        if self.attempt.number > len(backoff):
            self._fail(error)
            return
        wait = backoff[-1] if isinstance(error, DarajaThrottled) else backoff[self.attempt.number - 1]
        attempts.try_again_after(self.connection, self.attempt.query_id, wait)

    def _fail(self, error: DarajaError) -> None:
        ending = Ending(
            cause="submission",
            attempt_id=self.attempt.id,
            result_code=error.code,
            result_description=str(error),
        )
        queries.fail(self.connection, self.attempt.query_id, ending)
