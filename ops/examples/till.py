"""A till's page: ask for its balance, look how the request stands, and whether there is enough."""

import os
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from flask import Flask, request

from mpesa_balance import BalanceClient, BrokerUnavailable, MpesaBalanceError, RequestRefused

app = Flask(__name__)
client = BalanceClient(os.environ["BROKER_URL"], name="till")


@app.post("/balances/<shortcode>")
def ask(shortcode: str) -> tuple[dict[str, Any], int]:
    """Ask; the answer comes later, under the request's id."""
    return {"request_id": str(client.request_balance(shortcode, max_age=60))}, 202


@app.get("/requests/<uuid:request_id>")
def look(request_id: UUID) -> dict[str, Any]:
    """How a request stands, with the accounts where it has any."""
    return client.get(request_id).document()


@app.get("/funds/<shortcode>/<amount>")
def funds(shortcode: str, amount: str) -> dict[str, Any]:
    """Whether so much is there. It waits for M-PESA: behind a page, ask first and look later."""
    timeout = request.args.get("timeout", default=30.0, type=float)
    account = request.args.get("account", "Utility Account")
    found = client.check_funds(shortcode, Decimal(amount), account=account, max_age=60, timeout=timeout)
    return {"is_enough": found.is_enough, "shortfall": str(found.shortfall), "as_of": str(found.as_of)}


@app.errorhandler(InvalidOperation)
def no_amount(_: InvalidOperation) -> tuple[dict[str, str], int]:
    """The amount in the address is no number."""
    return {"error": "the amount must be a number, such as 1500.00"}, 400


@app.errorhandler(MpesaBalanceError)
def told(error: MpesaBalanceError) -> tuple[dict[str, str], int]:
    """Every error of the client says in one line what to do; its class says whose turn it is."""
    if isinstance(error, RequestRefused):
        return {"error": str(error)}, 422
    return {"error": str(error)}, 503 if isinstance(error, BrokerUnavailable) else 504
