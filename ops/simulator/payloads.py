"""What M-PESA sends to callback addresses: results, queue timeouts, and what should not be there."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mpesa_balance.results import EAST_AFRICA

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A query that M-PESA took, and the ids that it gave it.

    `balance` gives the AccountBalance value, a new one each time it is asked.
    """

    query: Document = field(repr=False)
    ids: Document
    balance: Callable[[], str]

    @property
    def shortcode(self) -> str:
        """Whose balance it is about."""
        return str(self.query["PartyA"])


#: Makes the body of one callback.
Body = Callable[[Conversation], Document]


def open_conversation(query: Document, balance: Callable[[str], str]) -> Conversation:
    """Give a query its ids, in the form of those that are seen."""
    ids = {
        "OriginatorConversationID": f"{secrets.randbelow(10**5)}-{secrets.randbelow(10**8)}-1",
        "ConversationID": f"AG_{_now():%Y%m%d}_{secrets.token_hex(10)}",
    }
    shortcode = str(query["PartyA"])
    return Conversation(query=query, ids=ids, balance=lambda: balance(shortcode))


def success(conversation: Conversation) -> Document:
    """The accounts as they stand now."""
    parameters = [{"Key": "AccountBalance", "Value": conversation.balance()}, _completed()]
    return _result(conversation.ids, 0, _PROCESSED, parameters)


def refused(code: str, meaning: str) -> Body:
    """A result that is no success. Codes are numbers, except those that hold letters."""

    def body(conversation: Conversation) -> Document:
        # A failure carries its only parameter as an object, not as a list of one (seen in production).
        return _result(conversation.ids, int(code) if code.isdecimal() else code, meaning, _completed())

    return body


def more_follows(conversation: Conversation) -> Document:
    """ResultType 1: M-PESA says that it will say more (parameter table of the Account Balance page)."""
    document = _result(conversation.ids, 0, "waiting for further messages", None)
    document["Result"]["ResultType"] = 1
    return document


def without_balance(conversation: Conversation) -> Document:
    """A success that does not say what the balance is."""
    return _result(conversation.ids, 0, _PROCESSED, [_completed()])


def of_another(_: Conversation) -> Document:
    """The result of a payment (official BusinessPayBill page) under ids that we never heard of."""
    amount = "{Amount={CurrencyCode=KES, MinimumAmount=618683, BasicAmount=6186.83}}"
    parameters = [
        {"Key": "DebitAccountBalance", "Value": amount},
        {"Key": "Amount", "Value": "190.00"},
        {
            "Key": "DebitPartyAffectedAccountBalance",
            "Value": "Working Account|KES|346568.83|6186.83|340382.00|0.00",
        },
        {"Key": "TransCompletedTime", "Value": f"{_now():%Y%m%d%H%M%S}"},
        {"Key": "ReceiverPartyPublicName", "Value": "000000 - Biller Company"},
        {"Key": "Currency", "Value": "KES"},
    ]
    ids = {
        "OriginatorConversationID": f"626f6ddf-ab37-4650-b882-{secrets.token_hex(6)}",
        "ConversationID": f"12345677{secrets.token_hex(6)}",
    }
    return _result(ids, "0", _PROCESSED, parameters)


def timeout_envelope(conversation: Conversation) -> Document:
    """A queue timeout that looks like a result (the form that mocks send)."""
    body = {"ResultType": 1, "ResultCode": 1, "ResultDesc": "The service request timed out."}
    return {"Result": body | conversation.ids}


def timeout_ids(conversation: Conversation) -> Document:
    """A queue timeout that only names its conversation."""
    return {"ConversationID": conversation.ids["ConversationID"]}


def timeout_echo(conversation: Conversation) -> Document:
    """Our own request back, SecurityCredential included and without any id (told by Safaricom's staff)."""
    return conversation.query


def timeout_empty(_: Conversation) -> Document:
    """Nothing at all: only the address tells which query it is about."""
    return {}


_PROCESSED: Final = "The service request is processed successfully."


def _result(ids: Document, code: int | str, description: str, parameters: Any) -> Document:
    given = {} if parameters is None else {"ResultParameters": {"ResultParameter": parameters}}
    return {
        "Result": {
            "ResultType": 0,
            "ResultCode": code,
            "ResultDesc": description,
            **ids,
            "TransactionID": _dummy_transaction(),
            **given,
            "ReferenceData": {
                "ReferenceItem": {
                    "Key": "QueueTimeoutURL",
                    "Value": "https://internalsandbox.safaricom.co.ke/mpesa/abresults/v1/submit",
                }
            },
        }
    }


def _completed() -> Document:
    return {"Key": "BOCompletedTime", "Value": int(f"{_now():%Y%m%d%H%M%S}")}


def _dummy_transaction() -> str:
    """Every balance query of a day has the same id: letters for year, month and day, and zeros."""
    now = _now()
    day = str(now.day) if now.day < 10 else chr(ord("A") + now.day - 10)
    return f"{chr(ord('L') + now.year - 2017)}{chr(ord('A') + now.month - 1)}{day}0000000"


def _now() -> datetime:
    return datetime.now(EAST_AFRICA)
