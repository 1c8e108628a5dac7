"""Asking Daraja for one attempt: in its slot, with one fresh token at most, its answer as a value."""

from structlog.contextvars import bound_contextvars

from mpesa_balance.attempts import Attempt
from mpesa_balance.callback_urls import RESULT, TIMEOUT
from mpesa_balance.daraja_request import DarajaRequest
from mpesa_balance.errors import (
    DarajaError,
    DarajaRefused,
    DarajaTokenInvalid,
    RequestRefused,
    SealBroken,
    Unavailable,
)
from mpesa_balance.shortcodes import Shortcode
from worker.answers import Acknowledgement
from worker.credentials import security_credential
from worker.house import House
from worker.recording import Outcome
from worker.turns import Turn


def ask(house: House, attempt: Attempt, turn: Turn, token: str | DarajaError | Unavailable) -> Outcome:
    """What Daraja says, or why it was not asked: for want of a token too."""
    if not isinstance(token, str):
        return token
    if isinstance(attempt.entry, SealBroken):
        return attempt.entry
    with bound_contextvars(query_id=attempt.query_id, attempt_id=attempt.id):
        try:
            body = _request_body(house, attempt, attempt.entry)
            return _acknowledgement(house, attempt, turn, body, token)
        except (DarajaError, Unavailable) as error:
            return error


def _acknowledgement(
    house: House, attempt: Attempt, turn: Turn, body: dict[str, str], token: str
) -> Acknowledgement:
    turn.come()
    try:
        return house.daraja.ask(attempt.app, token, body)
    except DarajaTokenInvalid:
        # Once with a fresh one, where the shared one was not accepted.
        token = house.tokens.replace(attempt.app, token)
        turn.come()
        return house.daraja.ask(attempt.app, token, body)


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
