"""Ask M-PESA (Safaricom Daraja) for account balances: what other services import."""

from mpesa_balance.client import BalanceClient
from mpesa_balance.contract import BalanceAsk, request_id_for
from mpesa_balance.errors import BrokerUnavailable, MpesaBalanceError, RequestRefused
from mpesa_balance.states import QueryState

__all__ = [
    "BalanceAsk",
    "BalanceClient",
    "BrokerUnavailable",
    "MpesaBalanceError",
    "QueryState",
    "RequestRefused",
    "request_id_for",
]
