"""The eight fields of a balance query, and every rule that Daraja holds them to. Pure.

Source: the Account Balance page's parameter table and request sample, the FAQ for what a callback
URL may not contain, and refusals that others published (an empty remark, InitiatorName).
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from mpesa_balance.callback_urls import base_url_violations
from mpesa_balance.contract import check_remarks, check_shortcode
from mpesa_balance.errors import RequestRefused

#: What PartyA is: an MSISDN, a till or an organisation shortcode (Daraja's IdentifierType).
MSISDN: Final = 1
IDENTIFIER_TYPES: Final = {MSISDN: "MSISDN", 2: "till", 4: "shortcode"}

_COMMAND: Final = "AccountBalance"
_LONGEST_INITIATOR: Final = 100
_KENYAN_NUMBER = re.compile(r"254[0-9]{9}", re.ASCII)

#: What a 1024-bit key, the shortest that anybody has used, makes of a password, in bytes.
_SHORTEST_CREDENTIAL: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class DarajaRequest:
    """One query as it is sent. The credential is out of the repr."""

    initiator: str
    security_credential: str = field(repr=False)
    party_a: str
    identifier_type: int
    remarks: str
    result_url: str = field(repr=False)
    queue_timeout_url: str = field(repr=False)

    def body(self) -> dict[str, str]:
        """The JSON body: exactly the eight documented fields, under Daraja's names."""
        return {
            "Initiator": self.initiator,
            "SecurityCredential": self.security_credential,
            "CommandID": _COMMAND,
            "PartyA": self.party_a,
            "IdentifierType": str(self.identifier_type),
            "Remarks": self.remarks,
            "QueueTimeOutURL": self.queue_timeout_url,
            "ResultURL": self.result_url,
        }

    def check(self, *, production: bool) -> None:
        """Raise RequestRefused, with everything that is wrong, where Daraja would refuse this."""
        if wrong := self.violations(production=production):
            raise RequestRefused(wrong)

    def violations(self, *, production: bool) -> list[str]:
        """Every rule that this request breaks, a sentence each; nothing where it may be sent."""
        wrong = [
            check_initiator(self.initiator),
            check_security_credential(self.security_credential),
            check_party(self.party_a, self.identifier_type),
            check_remarks(self.remarks),
        ]
        for url in (self.result_url, self.queue_timeout_url):
            wrong += base_url_violations(url, production=production)
        return list(dict.fromkeys(problem for problem in wrong if problem))


def check_initiator(initiator: str) -> str | None:
    """What is wrong with the name of an initiator, or None."""
    if initiator.isprintable() and 0 < len(initiator.strip()) <= _LONGEST_INITIATOR:
        return None
    return f"the initiator must be 1 to {_LONGEST_INITIATOR} printable characters, as on the M-PESA portal"


def check_security_credential(credential: str) -> str | None:
    """What is wrong with a ready-made security credential, or None; it is never repeated."""
    try:
        is_credential = len(base64.b64decode(credential, validate=True)) >= _SHORTEST_CREDENTIAL
    except (binascii.Error, ValueError):
        is_credential = False
    if is_credential:
        return None
    return "the security credential must be the base64 that the Daraja portal shows"


def check_party(party_a: str, identifier_type: int) -> str | None:
    """What is wrong with who is asked for, or None."""
    if identifier_type not in IDENTIFIER_TYPES:
        known = ", ".join(f"{number} {what}" for number, what in IDENTIFIER_TYPES.items())
        return f"identifier type {identifier_type} is not known: use {known}"
    if identifier_type == MSISDN and not _KENYAN_NUMBER.fullmatch(party_a):
        return "an MSISDN must be written as 254 and nine digits, such as 254712345678"
    return check_shortcode(party_a)
