"""The gateway in front of M-PESA: tokens, validation and error bodies in Daraja's own words."""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Flask, Response, request

from ops.simulator.mpesa import Document, Mpesa

Reply = tuple[Document, int] | Response

_URL: Final = re.compile(r"https?://[^\s/]+/\S*")

#: What each of the eight fields must be; checked in this order, and the first that fails is named.
_FIELDS: Final[dict[str, Callable[[str], bool]]] = {
    "Initiator": bool,
    "SecurityCredential": bool,
    "CommandID": lambda value: value == "AccountBalance",
    "PartyA": lambda value: value.isdecimal() and 5 <= len(value) <= 12,
    "IdentifierType": lambda value: value in ("1", "2", "4"),
    "Remarks": lambda value: 2 <= len(value) <= 100,
    "QueueTimeOutURL": lambda value: bool(_URL.fullmatch(value)),
    "ResultURL": lambda value: bool(_URL.fullmatch(value)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One Daraja app and its tokens, each good for `token_seconds`."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    token_seconds: int
    mpesa: Mpesa
    _expiries: dict[str, float] = field(default_factory=dict)

    def mint(self) -> Reply:
        """GET /oauth/v1/generate: several tokens may be good at once."""
        given = request.authorization
        if given is None or (given.username, given.password) != (self.consumer_key, self.consumer_secret):
            # A wrong key is a 400 without any body.
            return Response(status=400)
        token = secrets.token_urlsafe(21)
        self._expiries[token] = time.monotonic() + self.token_seconds
        # The documented page says a number; every live answer is a string.
        return {"access_token": token, "expires_in": str(self.token_seconds)}, 200

    def query(self) -> Reply:
        """POST /mpesa/accountbalance/v1/query."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or self._expiries.get(token, 0) < time.monotonic():
            return _error(404, "404.001.03", "Invalid Access Token")
        document = request.get_json(silent=True)
        if not isinstance(document, dict):
            return _error(400, "400.002.05", "Invalid Request Payload")
        for name, is_valid in _FIELDS.items():
            if not is_valid(str(document.get(name, ""))):
                return _error(400, "400.002.02", f"Bad Request - Invalid {name}")
        return self.mpesa.take(document), 200


def create_app(gateway: Gateway) -> Flask:
    """The simulator as a WSGI application."""
    app = Flask("simulator", static_folder=None)
    app.add_url_rule("/oauth/v1/generate", "mint", gateway.mint)
    app.add_url_rule("/mpesa/accountbalance/v1/query", "query", gateway.query, methods=["POST"])
    app.add_url_rule("/simulator/certificate", "certificate", lambda: _pem(gateway))
    return app


def _pem(gateway: Gateway) -> Response:
    return Response(gateway.mpesa.keys.certificate(), mimetype="application/x-pem-file")


def _error(status: int, code: str, message: str) -> tuple[dict[str, Any], int]:
    request_id = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.randbelow(10**8)}"
    return {"requestId": request_id, "errorCode": code, "errorMessage": message}, status
