"""The views: a check, an enqueue and an answer each. None of them waits: see `Later`."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from mpesa_balance import logs
from mpesa_balance.callback_urls import PATH
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import CallbackRejected, Unavailable
from webhooks import envelope
from webhooks.door import Door
from webhooks.ingress import Gauges, Ingress
from webhooks.later import Later

logger = logs.get_logger(__name__)

blueprint: Final = Blueprint("callbacks", __name__)


@blueprint.post(f"{PATH}/<token>/<any(result, timeout):kind>")
def receive(token: str, kind: str) -> Response:
    """A callback of Daraja. What its token admits is kept, also where its body cannot be read."""
    admitted = _door().admit(token, kind, request)
    kept = _ingress().keep(admitted.delivery)
    # While the disk writes.
    problem = envelope.problem(kind, admitted.payload)
    return Later(kept, partial(_accepted, kept, admitted.delivery, problem))


@blueprint.get("/health/live")
def live() -> Response:
    """This process answers."""
    return _json({"status": "live"}, HTTPStatus.OK)


@blueprint.get("/health/ready")
def ready() -> Response:
    """This process can keep what it is given; with the state of its spool."""
    looked = _ingress().look()
    return Later(looked, partial(_ready, looked))


def register_refusals(app: Flask) -> None:
    """4xx is the sender's fault and 503 is ours; both say why in Daraja's words."""
    app.register_error_handler(CallbackRejected, lambda error: _refusal(str(error), error.status))
    app.register_error_handler(
        HTTPException, lambda error: _refusal(error.description or error.name, error.code or 500)
    )


def _accepted(kept: "Future[None]", delivery: Delivery, problem: str | None) -> Response:
    """The form that integrators converged on; Daraja does not say what it reads of it."""
    of = {"attempt_id": delivery.attempt_id, "kind": delivery.kind}
    try:
        kept.result()
    except Unavailable as error:
        return _refusal(str(error), HTTPStatus.SERVICE_UNAVAILABLE, **of)
    if problem is None:
        return _ACCEPTED
    logger.warning("callback_unreadable", message="it is kept", reason=problem, **of)
    return _json({"ResultCode": 1, "ResultDesc": problem}, HTTPStatus.OK)


def _ready(looked: "Future[Gauges]") -> Response:
    try:
        return _json({"status": "ready", "spool": looked.result()._asdict()}, HTTPStatus.OK)
    except Unavailable as error:
        return _refusal(str(error), HTTPStatus.SERVICE_UNAVAILABLE)


def _refusal(reason: str, status: int, **of: Any) -> Response:
    # Who guesses too often would fill the log as well; what he guessed before that stands in it.
    tell: Callable[..., Any] = logger.debug if status == HTTPStatus.TOO_MANY_REQUESTS else logger.warning
    tell("http_request_refused", status=int(status), reason=reason, **of)
    return _json({"ResultCode": 1, "ResultDesc": reason}, status)


def _json(document: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(document), status, mimetype="application/json")


#: Nobody changes it, and making it would take as long as looking at a callback.
_ACCEPTED: Final = _json({"ResultCode": 0, "ResultDesc": "Accepted"}, HTTPStatus.OK)


def _door() -> Door:
    door: Door = current_app.extensions["door"]
    return door


def _ingress() -> Ingress:
    ingress: Ingress = current_app.extensions["ingress"]
    return ingress
