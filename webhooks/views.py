"""The views: a check, an enqueue and an answer each."""

import logging
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Flask, current_app, request
from werkzeug.exceptions import HTTPException

from mpesa_balance.callback_urls import PATH
from mpesa_balance.errors import CallbackRejected, Unavailable
from webhooks import envelope
from webhooks.door import Door
from webhooks.ingress import Ingress

logger = logging.getLogger(__name__)

Answer = tuple[dict[str, Any], int]

blueprint: Final = Blueprint("callbacks", __name__)


@blueprint.post(f"{PATH}/<token>/<any(result, timeout):kind>")
def receive(token: str, kind: str) -> Answer:
    """A callback of Daraja. What its token admits is kept, also where its body cannot be read."""
    admitted = _door().admit(token, kind, request)
    _ingress().keep(admitted.delivery)
    return _answer(envelope.problem(kind, admitted.payload))


@blueprint.get("/health/live")
def live() -> Answer:
    """This process answers."""
    return {"status": "live"}, 200


@blueprint.get("/health/ready")
def ready() -> Answer:
    """This process can keep what it is given; with the state of its spool."""
    _ingress().check()
    return {"status": "ready", "spool": _ingress().gauges()._asdict()}, 200


def register_refusals(app: Flask) -> None:
    """4xx is the sender's fault and 503 is ours; both say why in Daraja's words."""
    app.register_error_handler(CallbackRejected, lambda error: _refusal(str(error), error.status))
    app.register_error_handler(Unavailable, lambda error: _refusal(str(error), 503))
    app.register_error_handler(
        HTTPException, lambda error: _refusal(error.description or error.name, error.code or 500)
    )


def _answer(problem: str | None) -> Answer:
    # The form that integrators converged on; Daraja does not say what it reads of it.
    if problem is None:
        return {"ResultCode": 0, "ResultDesc": "Accepted"}, 200
    logger.warning("a callback was kept that cannot be read: %s", problem)
    return {"ResultCode": 1, "ResultDesc": problem}, 200


def _refusal(reason: str, status: int) -> Answer:
    # Who guesses too often would fill the log as well; what he guessed before that stands in it.
    level = logging.DEBUG if status == HTTPStatus.TOO_MANY_REQUESTS else logging.WARNING
    logger.log(level, "refused with %s: %s", status, reason)
    return {"ResultCode": 1, "ResultDesc": reason}, status


def _door() -> Door:
    door: Door = current_app.extensions["door"]
    return door


def _ingress() -> Ingress:
    ingress: Ingress = current_app.extensions["ingress"]
    return ingress
