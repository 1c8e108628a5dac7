"""The gateway in front of M-PESA: tokens, validation and error bodies in Daraja's own words."""

import threading
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Blueprint, Flask, Response, jsonify, request

from ops.simulator import answers
from ops.simulator.answers import Answer, Exchange
from ops.simulator.ledger import Ledger, Outcome, Subject
from ops.simulator.limits import Limits
from ops.simulator.mpesa import Handling, Mpesa
from ops.simulator.plan import Plan
from ops.simulator.requirements import shortcode_in, wrong_field
from ops.simulator.tokens import Tokens

#: Where a request's environment holds what is to happen once its answer is written, or cannot be.
AFTERWARDS: Final = "simulator.afterwards"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One Daraja app. Slow answers take `drip_seconds`, or until `closing` is set."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    tokens: Tokens
    limits: Limits
    plan: Plan
    mpesa: Mpesa
    ledger: Ledger
    drip_seconds: float
    closing: threading.Event

    def mint(self) -> Response:
        """GET /oauth/v1/generate: several tokens may be good at once."""
        given = request.authorization
        if given is None or (given.username, given.password) != (self.consumer_key, self.consumer_secret):
            self.ledger.write("token", Subject(), Outcome(status=400, reason="wrong consumer key"))
            # A wrong key is a 400 without any body.
            return Response(status=400)
        self.ledger.write("token", Subject(), Outcome(status=200))
        # The documented page says a number; every live answer is a string.
        return jsonify({"access_token": self.tokens.mint(), "expires_in": str(self.tokens.seconds)})

    def query(self) -> Response:
        """POST /mpesa/accountbalance/v1/query."""
        document: Any = request.get_json(silent=True)
        shortcode = shortcode_in(document)
        number = self.ledger.write("query", Subject(shortcode=shortcode))
        refusal = self._refusal(document)
        if refusal is not None or shortcode is None:
            subject = Subject(query=number, shortcode=shortcode)
            handling = Handling(subject=subject, answer=refusal or answers.INVALID_PAYLOAD)
        else:
            handling = self.mpesa.receive(document, self.plan.next(shortcode), number)
        return self._answer(handling)

    def _refusal(self, document: object) -> Answer | None:
        """Why M-PESA never sees a query. What is refused here takes nothing from the plan."""
        if not self.tokens.is_good(_bearer_token()):
            return answers.INVALID_TOKEN
        if (limited := self.limits.refusal()) is not None:
            return limited
        if not isinstance(document, dict):
            return answers.INVALID_PAYLOAD
        wrong = wrong_field(document)
        return answers.invalid_field(wrong) if wrong else None

    def _answer(self, handling: Handling) -> Response:
        answer = handling.answer
        exchange = Exchange(
            token=_bearer_token(),
            acknowledgement=handling.acknowledgement,
            connection=request.environ["werkzeug.socket"],
            drip_seconds=self.drip_seconds,
            closing=self.closing,
        )
        response = answer.respond(exchange)
        status = response.status_code if answer.is_sent else None
        outcome = Outcome(status=status, taken=answer.is_taken, reason=answer.reason)
        self.ledger.write("answer", handling.subject, outcome)
        if answer.is_slow:
            handling.begin()
        else:
            # Only `early` may outrun its acknowledgement, however short the delays are.
            request.environ[AFTERWARDS] = handling.begin
        return response


def create_app(gateway: Gateway, control: Blueprint) -> Flask:
    """The simulator as a WSGI application. The server must run what stands under AFTERWARDS."""
    app = Flask("simulator", static_folder=None)
    app.add_url_rule("/oauth/v1/generate", "mint", gateway.mint)
    app.add_url_rule("/mpesa/accountbalance/v1/query", "query", gateway.query, methods=["POST"])
    app.register_blueprint(control)
    return app


def _bearer_token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""
