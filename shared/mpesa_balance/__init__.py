"""Ask M-PESA (Safaricom Daraja) for account balances: what other services import."""

from typing import TYPE_CHECKING, Any

from mpesa_balance.answers import AnsweredBy, BalanceAnswer, Funds
from mpesa_balance.balances import Account, Balance, parse_balance
from mpesa_balance.contract import BalanceAsk, request_id_for
from mpesa_balance.errors import (
    AccountMissing,
    BrokerUnavailable,
    CallbackUnreadable,
    MpesaBalanceError,
    NoAnswerYet,
    NoBalance,
    RequestRefused,
)
from mpesa_balance.outcome import Failure, Success, safely
from mpesa_balance.results import Result, read_result
from mpesa_balance.states import QueryState

if TYPE_CHECKING:
    from mpesa_balance.client import BalanceClient

__all__ = [
    "Account",
    "AccountMissing",
    "AnsweredBy",
    "Balance",
    "BalanceAnswer",
    "BalanceAsk",
    "BalanceClient",
    "BrokerUnavailable",
    "CallbackUnreadable",
    "Failure",
    "Funds",
    "MpesaBalanceError",
    "NoAnswerYet",
    "NoBalance",
    "QueryState",
    "RequestRefused",
    "Result",
    "Success",
    "parse_balance",
    "read_result",
    "request_id_for",
    "safely",
]


def __getattr__(name: str) -> Any:
    # The client alone needs Celery, whose import takes a tenth of a second: reading a balance string,
    # and most commands, do without.
    if name != "BalanceClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mpesa_balance.client import BalanceClient

    return BalanceClient
