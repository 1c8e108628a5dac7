"""What every Daraja code means and what to do about it: one table. Pure.

Sources: the error tables of Daraja's Account Balance page (2.0 and 3.0), its FAQ, and codes that
other integrators published with their text. A code that stands in no row is never retried.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class Action(Enum):
    """What the system does when it meets a code: its class, and all that decides about a retry."""

    GO_ON = "nothing: it is no fault"
    MINT_TOKEN = "mint a token, once, and send once more"  # noqa: S105 - an action, not a secret
    RETRY = "retry with backoff"
    RETRY_LATER = "retry after a long backoff; the whole app waits"
    REFUSE = "never retry"
    REFUSE_APP = "never retry; the Daraja app's own key was refused"
    SUSPEND = "never retry, and suspend the shortcode until a person resumes it"


class Where(StrEnum):
    """Where a code appears."""

    HTTP = "http"  #: errorCode in the body of an HTTP error
    ACKNOWLEDGEMENT = "acknowledgement"  #: ResponseCode of the answer to the query
    RESULT = "result"  #: ResultCode of the callback


@dataclass(frozen=True, slots=True)
class Code:
    """One row. `words` tell it from another row with the same code; without a code they stand alone."""

    code: str
    where: Where
    action: Action
    meaning: str
    advice: str = ""
    words: str = ""

    @property
    def is_retryable(self) -> bool:
        """Whether asking again, as it was asked, can succeed."""
        return self.action in (Action.MINT_TOKEN, Action.RETRY, Action.RETRY_LATER)


_WAIT: Final = "It passes, and is tried again by itself; if it stays, ask again later."
_TOKEN: Final = (
    "Nothing to do: a new token is minted. If it stays, check the app's consumer key and secret."  # noqa: S105
)
_REQUEST: Final = "Correct what Daraja names (shortcode, identifier type, remarks, callback address)."
_ADDRESS: Final = "Check the app's base URL: `mpesa-balance apps list`."
_CREDENTIALS: Final = (
    "Check the initiator's name and password on the M-PESA portal, set them with `mpesa-balance "
    "shortcodes add --replace`, then `mpesa-balance shortcodes resume`."
)
_APP: Final = "Correct the app's consumer key and secret: `mpesa-balance apps add --replace`."
_PORTAL: Final = (
    "Have the business administrator check the API operator on the M-PESA portal, then "
    "`mpesa-balance shortcodes resume`."
)
_REPORT: Final = "Report it with the query's timeline: the request was built wrongly."
_AGAIN: Final = "Ask again; if it stays, write to apisupport@safaricom.co.ke with the conversation id."


def _http() -> Iterator[Code]:
    at = Where.HTTP
    yield Code("404.001.03", at, Action.MINT_TOKEN, "Invalid access token", _TOKEN)
    yield Code("401.002.01", at, Action.MINT_TOKEN, "Invalid access token", _TOKEN)
    yield Code("400.003.01", at, Action.MINT_TOKEN, "Invalid access token", _TOKEN)
    product = "The token was made before the app had this product"
    yield Code("", at, Action.MINT_TOKEN, product, _TOKEN, words="no apiproduct match")
    yield Code("500.003.02", at, Action.RETRY, "Spike arrest: too many requests in a second", _WAIT)
    quota = "Ask for balances less often, or have Safaricom raise the quota."
    yield Code("500.003.03", at, Action.RETRY_LATER, "Quota violation: the quota is used up", quota)
    yield Code("500.003.1001", at, Action.RETRY, "Internal server error", _WAIT)
    yield Code("00.002.1001", at, Action.RETRY, "The service is under maintenance", _WAIT)
    yield Code("500.002.1001", at, Action.RETRY, "System internal error", _WAIT)
    duplicate = "Duplicate OriginatorConversationID"
    yield Code("500.002.1001", at, Action.REFUSE, duplicate, _AGAIN, words=duplicate)
    yield Code("400.002.02", at, Action.REFUSE, "Bad request: a field is invalid", _REQUEST)
    initiator = "The initiator's name was refused"
    yield Code("", at, Action.SUSPEND, initiator, _CREDENTIALS, words="Invalid Initiator")
    credential = "The security credential was refused"
    yield Code("", at, Action.SUSPEND, credential, _CREDENTIALS, words="Invalid SecurityCredential")
    yield Code("400.002.05", at, Action.REFUSE, "Invalid request payload", _REPORT)
    yield Code("400.008.01", at, Action.REFUSE_APP, "Invalid basic authentication", _APP)
    yield Code("404.001.01", at, Action.REFUSE, "Resource not found", _ADDRESS)
    yield Code("404.002.01", at, Action.REFUSE, "Resource not found", _ADDRESS)
    yield Code("404.003.01", at, Action.REFUSE, "Resource not found", _ADDRESS)
    yield Code("405.001", at, Action.REFUSE, "Method not allowed", _ADDRESS)
    yield Code("500.001.1001", at, Action.SUSPEND, "Wrong credentials", _CREDENTIALS)


def _acknowledgements() -> Iterator[Code]:
    at = Where.ACKNOWLEDGEMENT
    yield Code("0", at, Action.GO_ON, "Accepted: the result will come by callback")
    yield Code("1", at, Action.REFUSE, "Rejected", "Read the description that came with it.")
    yield Code("400002", at, Action.REFUSE, "Bad request: a field is invalid", _REQUEST)


def _results() -> Iterator[Code]:
    at = Where.RESULT
    yield Code("0", at, Action.GO_ON, "Success: the balances are in the result")
    funds = "Insufficient funds; not meant for balance queries"
    yield Code("1", at, Action.REFUSE, funds, _AGAIN)
    party = "The party's state or the parameters are invalid"
    yield Code("11", at, Action.REFUSE, party, "Check the shortcode, its state and its identifier type.")
    yield Code("15", at, Action.REFUSE, "Duplicate detected", _AGAIN)
    yield Code("17", at, Action.RETRY, "Internal failure of M-PESA", _WAIT)
    check = "Initiator credential check failure: wrong password, or wrongly encrypted"
    yield Code("18", at, Action.SUSPEND, check, _CREDENTIALS)
    yield Code("19", at, Action.REFUSE, "Message sequencing failure", _AGAIN)
    yield Code("20", at, Action.SUSPEND, "Unresolved initiator: no such user name", _CREDENTIALS)
    role = "The initiator may not ask for this shortcode: it lacks the role 'Balance Query ORG API'"
    yield Code("21", at, Action.SUSPEND, role, _PORTAL)
    yield Code("22", at, Action.SUSPEND, "The initiator is not active", _PORTAL)
    yield Code("24", at, Action.REFUSE, "Missing mandatory fields", _REPORT)
    yield Code("25", at, Action.REFUSE, "Invalid request parameters", _REQUEST)
    yield Code("26", at, Action.RETRY, "Traffic blocking: the system is too busy", _WAIT)
    yield Code("29", at, Action.REFUSE, "Invalid command", _REPORT)
    yield Code("2001", at, Action.SUSPEND, "The initiator information is invalid", _CREDENTIALS)
    locked = "Have the password reset on the M-PESA portal, set it, and only then resume the shortcode."
    yield Code("8006", at, Action.SUSPEND, "The security credential is locked", locked)
    yield Code("100000000", at, Action.RETRY, "The request was cached and waits for resending", _WAIT)
    yield Code("100000001", at, Action.RETRY, "The system is overloaded", _WAIT)
    yield Code("100000002", at, Action.RETRY, "Throttling error", _WAIT)
    yield Code("100000004", at, Action.RETRY, "Internal server error", _WAIT)
    yield Code("100000005", at, Action.REFUSE, "Invalid input value", _REQUEST)
    yield Code("100000007", at, Action.RETRY, "The service's status is abnormal", _WAIT)
    yield Code("100000009", at, Action.RETRY, "The API's status is abnormal", _WAIT)
    yield Code("100000010", at, Action.REFUSE, "Insufficient permissions", _PORTAL)
    yield Code("100000011", at, Action.RETRY, "The request rate was exceeded", _WAIT)
    operator = "The operator does not exist"
    yield Code("SFC_IC0003", at, Action.REFUSE, operator, "Check the shortcode and its identifier type.")
    yield Code("R000002", at, Action.REFUSE, "Failed, without a documented reason", _AGAIN)


TABLE: Final = (*_http(), *_acknowledgements(), *_results())


def row_for(code: str | None, text: str = "", where: Where | None = None) -> Code | None:
    """The row of a code as it came; None where nothing is known of it.

    `text` is Daraja's own and decides where it is what tells two meanings apart. A code that has a
    row for another place only is taken to mean the same here.
    """
    said = text.casefold()
    for row in TABLE:
        if row.words and row.words.casefold() in said and row.code in ("", code):
            return row
    rows = [row for row in TABLE if row.code == code and code and not row.words]
    return min(rows, key=lambda row: row.where is not where, default=None)


def action_for(code: str | None, text: str = "", where: Where | None = None) -> Action:
    """What to do about a code; one that nobody knows is never retried."""
    row = row_for(code, text, where)
    return row.action if row else Action.REFUSE


def matching(term: str) -> list[Code]:
    """The rows of a code, or else those in whose meaning or words `term` stands."""
    sought = term.strip().casefold()
    exact = [row for row in TABLE if row.code.casefold() == sought]
    return exact or [row for row in TABLE if sought in f"{row.meaning} {row.words}".casefold()]


def advice_for(code: str | None, text: str = "", where: Where | None = None) -> str | None:
    """What a person should do about a code; None where nothing is known."""
    row = row_for(code, text, where)
    return (row.advice or None) if row else None
