"""The four troubles that people search for: their names, their signs and what Daraja says causes them.

Names and causes are those of the troubleshooting lists and the FAQ on Daraja's pages.
"""

import re
from typing import Final

from mpesa_balance.callback_urls import PATH
from mpesa_balance.result_codes import TABLE, Action
from mpesa_balance.texts import without_amounts

INVALID_INITIATOR: Final = "invalid initiator"
INVALID_SHORTCODE: Final = "invalid shortcode"
CALLBACK_NOT_RECEIVED: Final = "callback not received"
BALANCE_SHOWS_ZERO: Final = "balance shows zero"

CAUSES: Final = {
    INVALID_INITIATOR: (
        "have the business administrator check the API operator on the M-PESA portal: name and password "
        "are those registered here, access channel is API, role is 'Balance Query ORG API', it is active"
    ),
    INVALID_SHORTCODE: (
        "the shortcode must be of the app's environment: test numbers of the sandbox, yours of production"
    ),
    CALLBACK_NOT_RECEIVED: (
        "CALLBACK_BASE_URL must be public, the firewall must let Safaricom's addresses in (196.201.212.0 "
        f"to 196.201.214.255), the TLS chain must be valid, and the proxy must pass POST {PATH}/...; the "
        "findings about callbacks tell more"
    ),
    BALANCE_SHOWS_ZERO: (
        "if money should be there: is it the right shortcode and the right identifier type, has Safaricom "
        "activated the account, and has the initiator the role 'Balance Query ORG API'?"
    ),
}

#: Numbers that Daraja's pages use and its sandbox knows.
SANDBOX_NUMBERS: Final = frozenset({"174379", "600000", "600998"})

_BAD_REQUEST: Final = "400.002.02"
_INITIATOR_CODES: Final = frozenset(row.code for row in TABLE if row.code and row.action is Action.SUSPEND)
_SHORTCODE_WORDS: Final = re.compile(r"PartyA|Short ?Code", re.IGNORECASE)
_INITIATOR_WORDS: Final = re.compile(r"Initiator", re.IGNORECASE)

_LONGEST_TEXT: Final = 200


def of_failure(code: str | None, description: str | None) -> str | None:
    """The trouble that a failed query is a sign of, by Daraja's code and words; None for any other."""
    said = description or ""
    if code in _INITIATOR_CODES or (code == _BAD_REQUEST and _INITIATOR_WORDS.search(said)):
        return INVALID_INITIATOR
    return INVALID_SHORTCODE if _SHORTCODE_WORDS.search(said) else None


def quoted(text: str | None) -> str:
    """Somebody else's words as a finding may repeat them: short, and without an amount."""
    said = without_amounts(text or "no reason given")
    return said if len(said) <= _LONGEST_TEXT else f"{said[:_LONGEST_TEXT]} ..."
