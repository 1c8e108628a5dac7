"""Ask M-PESA (Safaricom Daraja) for account balances: what other services import."""

from mpesa_balance.balances import Account, Balance, parse_balance
from mpesa_balance.client import BalanceClient
from mpesa_balance.contract import BalanceAsk, request_id_for
from mpesa_balance.errors import BrokerUnavailable, CallbackUnreadable, MpesaBalanceError, RequestRefused
from mpesa_balance.results import Result, read_result
from mpesa_balance.states import QueryState

__all__ = [
    "Account",
    "Balance",
    "BalanceAsk",
    "BalanceClient",
    "BrokerUnavailable",
    "CallbackUnreadable",
    "MpesaBalanceError",
    "QueryState",
    "RequestRefused",
    "Result",
    "parse_balance",
    "read_result",
    "request_id_for",
]
