"""The views: a check, an enqueue and an answer each."""

from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Flask, current_app, request
from structlog.contextvars import bind_contextvars
from werkzeug.exceptions import HTTPException

from mpesa_balance import logs
from mpesa_balance.callback_urls import PATH
from mpesa_balance.errors import CallbackRejected, Unavailable
from webhooks import envelope
from webhooks.door import Door
from webhooks.ingress import Ingress

logger = logs.get_logger(__name__)

Answer = tuple[dict[str, Any], int]

blueprint: Final = Blueprint("callbacks", __name__)


@blueprint.post(f"{PATH}/<token>/<any(result, timeout):kind>")
def receive(token: str, kind: str) -> Answer:
    """A callback of Daraja. What its token admits is kept, also where its body cannot be read."""
    admitted = _door().admit(token, kind, request)
    bind_contextvars(attempt_id=admitted.delivery.attempt_id, kind=kind)
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
    logger.warning("callback_unreadable", message="it is kept", reason=problem)
    return {"ResultCode": 1, "ResultDesc": problem}, 200


def _refusal(reason: str, status: int) -> Answer:
    # Who guesses too often would fill the log as well; what he guessed before that stands in it.
    tell = logger.debug if status == HTTPStatus.TOO_MANY_REQUESTS else logger.warning
    tell("http_request_refused", status=status, reason=reason)
    return {"ResultCode": 1, "ResultDesc": reason}, status


def _door() -> Door:
    door: Door = current_app.extensions["door"]
    return door


def _ingress() -> Ingress:
    ingress: Ingress = current_app.extensions["ingress"]
    return ingress
