"""The control endpoints, which the real Daraja has not: what tests and people turn."""

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from marshmallow import Schema, ValidationError, fields
from marshmallow.validate import Range

from mpesa_balance.errors import RequestRefused
from ops.simulator.courier import Courier
from ops.simulator.initiator import Initiator
from ops.simulator.keys import KeyPair
from ops.simulator.ledger import Ledger
from ops.simulator.limits import Limits
from ops.simulator.plan import Plan, read_plan
from ops.simulator.tokens import Tokens

_COUNT: Final = "must be a whole number, or null for no limit"
_LONGEST_MAINTENANCE: Final = 86_400
_SECONDS: Final = f"must be a number of seconds from 0 to {_LONGEST_MAINTENANCE}"


class _Setting(Schema):
    error_messages = {  # noqa: RUF012 - marshmallow reads it from the class
        "unknown": "is no setting here: leave it out",
        "type": "the body must be a JSON object",
    }


def _count(at_least: int) -> fields.Integer:
    wrong = f"{_COUNT}; at least {at_least}"
    within = Range(min=at_least, error=wrong)
    return fields.Integer(strict=True, allow_none=True, validate=within, error_messages={"invalid": wrong})


class _Limits(_Setting):
    per_second = _count(at_least=1)
    quota = _count(at_least=0)


class _Maintenance(_Setting):
    seconds = fields.Float(
        required=True,
        validate=Range(0, _LONGEST_MAINTENANCE, error=_SECONDS),
        error_messages=dict.fromkeys(("required", "invalid", "null", "special"), _SECONDS),
    )


class _Page(_Setting):
    after = fields.Integer(
        load_default=0,
        validate=Range(min=0, error="must be the number of an entry, or 0"),
        error_messages={"invalid": "must be the number of an entry, or 0"},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What can be turned, and what can be read."""

    keys: KeyPair
    plan: Plan
    tokens: Tokens
    limits: Limits
    initiator: Initiator
    ledger: Ledger
    courier: Courier

    def certificate(self) -> Response:
        """GET /simulator/certificate: what credentials are encrypted for, in PEM."""
        return Response(self.keys.certificate(), mimetype="application/x-pem-file")

    def scenarios(self) -> Response:
        """/simulator/scenarios: GET the plan, PUT lists into it, DELETE what was put."""
        if request.method == "PUT":
            self.plan.merge(read_plan(_body()))
        elif request.method == "DELETE":
            self.plan.reset()
        return jsonify(self.plan.document())

    def revoke(self) -> Response:
        """POST /simulator/tokens/revoke: every token becomes invalid."""
        return jsonify({"revoked": self.tokens.revoke()})

    def change_limits(self) -> Response:
        """/simulator/limits: GET them, or PUT per_second, quota or both."""
        if request.method == "PUT":
            self.limits.change(_Limits().load(_body()))
        return jsonify(self.limits.document())

    def maintain(self) -> Response:
        """PUT /simulator/maintenance: nothing is taken for so many seconds; 0 ends it."""
        given = _Maintenance().load(_body())
        self.limits.maintain(given["seconds"])
        return jsonify(given)

    def unlock(self) -> Response:
        """POST /simulator/initiator/unlock."""
        self.initiator.unlock()
        return jsonify({"unlocked": True})

    def entries(self) -> Response:
        """/simulator/ledger: GET what follows a number, or DELETE all of it."""
        if request.method == "DELETE":
            self.ledger.clear()
        after = _Page().load(request.args.to_dict())["after"]
        return jsonify(self.ledger.page(after))

    def summary(self) -> Response:
        """GET /simulator/ledger/summary: counts, to balance the books with."""
        summary = self.ledger.summary()
        summary["callbacks"]["pending"] = self.courier.pending
        return jsonify(summary)


def create_blueprint(control: Control) -> Blueprint:
    """The endpoints below /simulator. What is wrong with a request is a 400 that names all of it."""
    blueprint = Blueprint("control", __name__, url_prefix="/simulator")
    for path, view, methods in (
        ("/certificate", control.certificate, ["GET"]),
        ("/scenarios", control.scenarios, ["GET", "PUT", "DELETE"]),
        ("/tokens/revoke", control.revoke, ["POST"]),
        ("/limits", control.change_limits, ["GET", "PUT"]),
        ("/maintenance", control.maintain, ["PUT"]),
        ("/initiator/unlock", control.unlock, ["POST"]),
        ("/ledger", control.entries, ["GET", "DELETE"]),
        ("/ledger/summary", control.summary, ["GET"]),
    ):
        blueprint.add_url_rule(path, view.__name__, view, methods=methods)
    blueprint.register_error_handler(RequestRefused, lambda error: _refusal(list(error.violations)))
    blueprint.register_error_handler(ValidationError, lambda error: _refusal(_sentences(error)))
    return blueprint


def _body() -> Any:
    # curl sends no JSON content type unless it is told to; None is no object, and refused as such.
    return request.get_json(force=True, silent=True)


def _refusal(violations: list[str]) -> tuple[Response, int]:
    return jsonify({"errors": violations}), 400


def _sentences(error: ValidationError) -> list[str]:
    return [
        message if name == "_schema" else f"{name} {message}"
        for name, messages in error.messages_dict.items()
        for message in messages
    ]
