"""M-PESA behind the gateway: it takes a query, looks at it in its own time and calls back."""

import logging
import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests

from mpesa_balance.results import EAST_AFRICA
from ops.simulator.bank import Bank
from ops.simulator.keys import KeyPair

logger = logging.getLogger(__name__)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mpesa:
    """Answers each query once, `delay` seconds after it was taken."""

    bank: Bank
    keys: KeyPair
    initiator: str
    password: str = field(repr=False)
    delay: float

    def take(self, query: Document) -> Document:
        """Acknowledge a query, wrong credentials included, and call back later."""
        ids = {
            "OriginatorConversationID": f"{secrets.randbelow(10**5)}-{secrets.randbelow(10**8)}-1",
            "ConversationID": f"AG_{_now():%Y%m%d}_{secrets.token_hex(10)}",
        }
        result = self._succeeded(query, ids) if self._is_initiator(query) else _refused(ids)
        timer = threading.Timer(self.delay, _call_back, (query["ResultURL"], result))
        timer.daemon = True
        timer.start()
        return ids | {
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }

    def _is_initiator(self, query: Document) -> bool:
        password = self.keys.password_in(query["SecurityCredential"])
        return query["Initiator"] == self.initiator and password == self.password

    def _succeeded(self, query: Document, ids: Document) -> Document:
        parameters = [
            {"Key": "AccountBalance", "Value": self.bank.balance(str(query["PartyA"]))},
            {"Key": "BOCompletedTime", "Value": int(f"{_now():%Y%m%d%H%M%S}")},
        ]
        return _result(0, "The service request is processed successfully.", ids, parameters)


def _refused(ids: Document) -> Document:
    # A failure carries its only parameter as an object, not as a list of one (seen in production).
    completed = {"Key": "BOCompletedTime", "Value": int(f"{_now():%Y%m%d%H%M%S}")}
    return _result(2001, "The initiator information is invalid.", ids, completed)


def _result(code: int, description: str, ids: Document, parameters: Any) -> Document:
    return {
        "Result": {
            "ResultType": 0,
            "ResultCode": code,
            "ResultDesc": description,
            **ids,
            "TransactionID": _dummy_transaction(),
            "ResultParameters": {"ResultParameter": parameters},
            "ReferenceData": {
                "ReferenceItem": {
                    "Key": "QueueTimeoutURL",
                    "Value": "https://internalsandbox.safaricom.co.ke/mpesa/abresults/v1/submit",
                }
            },
        }
    }


def _dummy_transaction() -> str:
    """Every balance query of a day has the same id: letters for year, month and day, and zeros."""
    now = _now()
    day = str(now.day) if now.day < 10 else chr(ord("A") + now.day - 10)
    return f"{chr(ord('L') + now.year - 2017)}{chr(ord('A') + now.month - 1)}{day}0000000"


def _now() -> datetime:
    return datetime.now(EAST_AFRICA)


def _call_back(url: str, document: Document) -> None:
    # Once, whatever becomes of it: the real one promises no second delivery.
    try:
        status = requests.post(url, json=document, timeout=5).status_code
        logger.info("called back with code %s: HTTP %s", document["Result"]["ResultCode"], status)
    except requests.RequestException as error:
        logger.warning("the callback was lost: %s", type(error).__name__)
