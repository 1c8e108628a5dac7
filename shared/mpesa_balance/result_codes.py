"""What every Daraja code means and what to do about it: one table. Pure.

Sources: the error tables of Daraja's Account Balance page (2.0 and 3.0), its FAQ, and codes that
other integrators published with their text. A code that stands in no row is never retried.

The class of an HTTP or acknowledgement code decides about the submission. That of a result code is
advice so far: a refused result fails its query, and suspending is done by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Action(Enum):
    """What the system does when it meets a code."""

    MINT_TOKEN = "mint a token, once"  # noqa: S105 - the name of an action, not a secret
    RETRY = "retry with backoff"
    RETRY_LATER = "retry after a long backoff"
    REFUSE = "never retry"
    SUSPEND = "never retry, and suspend the shortcode"


@dataclass(frozen=True, slots=True)
class Code:
    """One row: where the code appears is "http" or "result"."""

    code: str
    where: str
    action: Action
    meaning: str
    advice: str = ""


_HTTP = "http"
_RESULT = "result"
_WAIT = "Nothing to do; it is tried again."
_CREDENTIALS = "Check the initiator's name and password, then `mpesa-balance shortcodes resume`."
_REPORT = "Report it with the query's timeline; the request was built wrongly."
_PORTAL = "Have the business administrator check the API operator on the M-PESA portal."

_ROWS: Final = (
    Code("404.001.03", _HTTP, Action.MINT_TOKEN, "Invalid access token"),
    Code("401.002.01", _HTTP, Action.MINT_TOKEN, "Invalid access token"),
    Code("400.003.01", _HTTP, Action.MINT_TOKEN, "Invalid access token"),
    Code("500.003.02", _HTTP, Action.RETRY, "Spike arrest: too many requests a second", _WAIT),
    Code("500.003.03", _HTTP, Action.RETRY_LATER, "Quota used up", "Ask for balances less often."),
    Code("500.003.1001", _HTTP, Action.RETRY, "Internal server error", _WAIT),
    Code("00.002.1001", _HTTP, Action.RETRY, "Under maintenance", _WAIT),
    Code("500.002.1001", _HTTP, Action.RETRY, "System internal error", _WAIT),
    Code("400.002.02", _HTTP, Action.REFUSE, "Bad request", _REPORT),
    Code("400.002.05", _HTTP, Action.REFUSE, "Invalid request payload", _REPORT),
    Code(
        "400.008.01",
        _HTTP,
        Action.SUSPEND,
        "Invalid basic authentication",
        "Check the consumer key and secret of the app.",
    ),
    Code("404.001.01", _HTTP, Action.REFUSE, "Resource not found", "Check the app's base URL."),
    Code("404.002.01", _HTTP, Action.REFUSE, "Resource not found", "Check the app's base URL."),
    Code("404.003.01", _HTTP, Action.REFUSE, "Resource not found", "Check the app's base URL."),
    Code("405.001", _HTTP, Action.REFUSE, "Method not allowed", "Check the app's base URL."),
    Code("500.001.1001", _HTTP, Action.SUSPEND, "Wrong credentials", _CREDENTIALS),
    Code("1", _RESULT, Action.REFUSE, "Insufficient funds; not meant for balances", _REPORT),
    Code("11", _RESULT, Action.REFUSE, "Invalid debit party state", _PORTAL),
    Code("15", _RESULT, Action.REFUSE, "Duplicate originator conversation id", "Ask again."),
    Code("17", _RESULT, Action.RETRY, "Internal failure of M-PESA", "Ask again later."),
    Code("18", _RESULT, Action.SUSPEND, "Initiator credential check failed", _CREDENTIALS),
    Code("19", _RESULT, Action.REFUSE, "Message sequencing failure", "Ask again."),
    Code("20", _RESULT, Action.SUSPEND, "Initiator not found", _CREDENTIALS),
    Code(
        "21",
        _RESULT,
        Action.SUSPEND,
        "The initiator lacks the role 'Balance Query ORG API'",
        _PORTAL,
    ),
    Code("22", _RESULT, Action.SUSPEND, "The initiator is not active", _PORTAL),
    Code("24", _RESULT, Action.REFUSE, "Mandatory fields are missing", _REPORT),
    Code("25", _RESULT, Action.REFUSE, "Invalid request parameters", _REPORT),
    Code("26", _RESULT, Action.RETRY, "Traffic blocking: the system is too busy", "Ask again later."),
    Code("29", _RESULT, Action.REFUSE, "Invalid command", _REPORT),
    Code("2001", _RESULT, Action.SUSPEND, "The initiator information is invalid", _CREDENTIALS),
    Code(
        "8006",
        _RESULT,
        Action.SUSPEND,
        "The security credential is locked",
        "Have the password reset on the M-PESA portal, then set it and resume the shortcode.",
    ),
    Code("100000000", _RESULT, Action.RETRY, "The request was cached for resending", "Ask again later."),
    Code("100000001", _RESULT, Action.RETRY, "The system is overloaded", "Ask again later."),
    Code("100000002", _RESULT, Action.RETRY, "Throttled", "Ask again later."),
    Code("100000004", _RESULT, Action.RETRY, "Internal server error", "Ask again later."),
    Code("100000005", _RESULT, Action.REFUSE, "Invalid input value", _REPORT),
    Code("100000007", _RESULT, Action.RETRY, "The service's status is abnormal", "Ask again later."),
    Code("100000009", _RESULT, Action.RETRY, "The API's status is abnormal", "Ask again later."),
    Code("100000010", _RESULT, Action.REFUSE, "Insufficient permissions", _PORTAL),
    Code("100000011", _RESULT, Action.RETRY, "Request rate exceeded", "Ask again later."),
)

TABLE: Final[Mapping[str, Code]] = {row.code: row for row in _ROWS}

# Two refusals share a code with something else and are told apart by their text.
_TEXTS: Final = (
    ("Duplicate OriginatorConversationID", Action.REFUSE),
    ("no apiproduct match", Action.MINT_TOKEN),
    ("Invalid Initiator", Action.SUSPEND),
    ("Invalid SecurityCredential", Action.SUSPEND),
)


def action_for(code: str | None, text: str = "") -> Action:
    """What to do about `code`; `text` is Daraja's own, and decides where a code has two meanings."""
    for words, action in _TEXTS:
        if words.lower() in text.lower():
            return action
    row = TABLE.get(code or "")
    return row.action if row else Action.REFUSE


def advice_for(code: str | None) -> str | None:
    """What a person should do about `code`; None where nothing is known."""
    row = TABLE.get(code or "")
    return (row.advice or None) if row else None
