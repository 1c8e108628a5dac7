"""What an answer of Daraja that is no acceptance means: one of our faults, by its class alone."""

from http import HTTPStatus
from typing import Any, Final

from mpesa_balance.errors import (
    AppRefused,
    CredentialsRefused,
    DarajaError,
    DarajaRefused,
    DarajaThrottled,
    DarajaTokenInvalid,
    DarajaUnavailable,
)
from mpesa_balance.redaction import without_credentials
from mpesa_balance.result_codes import Action, row_for
from mpesa_balance.texts import printable, without_amounts

_FAULTS: Final[dict[Action, type[DarajaError]]] = {
    Action.MINT_TOKEN: DarajaTokenInvalid,
    Action.RETRY: DarajaUnavailable,
    Action.RETRY_LATER: DarajaThrottled,
    Action.REFUSE: DarajaRefused,
    Action.REFUSE_APP: AppRefused,
    Action.SUSPEND: CredentialsRefused,
}


#: What Daraja says is a line; what is longer is cut.
_LONGEST_TEXT: Final = 1024


def fault(status: int, document: dict[str, Any] | None) -> DarajaError:
    """The fault in an answer, by its code, its text and its HTTP status.

    `document` is the body where it is a JSON object, and None where it is anything else.
    """
    code = code_of(document)
    text = _description(document)
    row = row_for(code, text)
    action = row.action if row else Action.GO_ON
    if action is Action.GO_ON:
        action = _action_of_status(status, is_daraja=document is not None)
    # Daraja repeats the token in the text of 401.002.01, so that text is not kept.
    said = "the access token was not accepted" if action is Action.MINT_TOKEN else text
    return _FAULTS[action](said or f"HTTP {status} without an explanation", code=code, http_status=status)


def _action_of_status(status: int, *, is_daraja: bool) -> Action:
    """What to do about an answer whose code says nothing to us."""
    if status == HTTPStatus.UNAUTHORIZED:
        return Action.MINT_TOKEN
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Action.REFUSE
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Action.RETRY
    # A web page or nothing at all comes from the gateway in front of Daraja, which may recover.
    return Action.REFUSE if is_daraja else Action.RETRY


def code_of(document: dict[str, Any] | None) -> str | None:
    """Daraja's errorCode, or the ResponseCode of a refusal inside a 200."""
    return text_of((document or {}).get("errorCode")) or text_of((document or {}).get("ResponseCode"))


def _description(document: dict[str, Any] | None) -> str:
    given = document or {}
    return text_of(given.get("errorMessage")) or text_of(given.get("ResponseDescription")) or ""


def text_of(value: Any) -> str | None:
    """A short printable text out of whatever stands in Daraja's JSON; None for nothing.

    A text that repeats our request is kept without its credential.
    """
    if value is None or isinstance(value, dict | list | bool):
        return None
    said = str(value).strip()[:_LONGEST_TEXT].encode("utf-8", "replace")
    return without_amounts(printable(without_credentials(said).decode())) or None
