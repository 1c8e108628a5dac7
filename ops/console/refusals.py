"""What is told when something cannot be done: a page, a part of one, or JSON, with the right status."""

import json
from collections.abc import Iterator, Mapping
from typing import Final, cast

from flask import Flask, g, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge, SecurityError
from werkzeug.wrappers import Response

from mpesa_balance import logs
from mpesa_balance.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    Forbidden,
    MpesaBalanceError,
    NotFound,
    NotSignedIn,
    RequestRefused,
    SchemaOutdated,
    SealBroken,
    Unavailable,
)
from mpesa_balance.people.signing_in import TooManyAttempts
from ops.console.gate import LARGEST_FILE, LARGEST_FORM, is_api

logger = logs.get_logger(__name__)

#: The first class that fits.
_STATUS: Final[tuple[tuple[type[MpesaBalanceError], int], ...]] = (
    (NotFound, 404),
    (Forbidden, 403),
    (RequestRefused, 422),
    (TooManyAttempts, 429),
    (NotSignedIn, 401),
    (Unavailable, 503),
    (SchemaOutdated, 503),
    (SealBroken, 500),
    (MpesaBalanceError, 500),
)

_AWAY: Final = "a store of the console is away, which its log tells of: try again in a moment"

_FAULT: Final = "something went wrong, which the log of the console tells: try again, or ask an operator"


def register(app: Flask) -> None:
    """Answer errors as people can use them."""
    app.register_error_handler(MpesaBalanceError, _ours)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(SecurityError, _of_another_host)
    app.register_error_handler(HTTPException, _of_http)
    # Anything else is a fault: its text is for the log, and may hold what nobody outside may see.
    app.register_error_handler(500, _fault)


def status_of(error: MpesaBalanceError) -> int:
    """The status that says what to do about an error."""
    return next(status for kind, status in _STATUS if isinstance(error, kind))


def violations_of(error: MpesaBalanceError) -> tuple[str, ...]:
    """Everything that is wrong, a sentence each."""
    return error.violations if isinstance(error, RequestRefused) else (str(error),)


def _ours(error: MpesaBalanceError) -> Response:
    status = status_of(error)
    if status >= 500:
        # Not the path: a one-time link is one, and may still be good.
        logger.error("view_refused", endpoint=request.endpoint, reason=str(error))
    return told(_outside(error), status)


def _outside(error: MpesaBalanceError) -> tuple[str, ...]:
    """What may be said to anybody: where our stores are, and what does not open there, is for the log."""
    if isinstance(error, DatabaseUnavailable | BrokerUnavailable):
        return (_AWAY,)
    return (_FAULT,) if isinstance(error, SchemaOutdated | SealBroken) else violations_of(error)


def _forged(_: CSRFError) -> Response:
    return told(("this form is too old, or from no page of the console: load the page again",), 400)


def _too_large(_: RequestEntityTooLarge) -> Response:
    bounds = f"a ledger may have {LARGEST_FILE // 2**20} MiB, anything else {LARGEST_FORM // 2**10} KiB"
    return told((f"what was sent is too large: {bounds}",), 413)


def _of_another_host(_: SecurityError) -> Response:
    # No page: its links would be made of the name that is not ours.
    return Response("this console is not reached by that name: see CONSOLE_URL\n", 400)


def _of_http(error: HTTPException) -> Response:
    if error.response is not None:
        return cast("Response", error.response)
    # What flask-smorest found wrong with a call of the API, by the place and the field.
    messages = getattr(error, "data", {}).get("messages")
    sentences = tuple(_flat(messages)) if messages else ((error.description or error.name).rstrip("."),)
    answer = told(sentences, error.code or 500)
    if isinstance(error, MethodNotAllowed):
        # HTTP wants it said which there are.
        answer.allow.update(error.valid_methods or ())
    return answer


def _flat(messages: object, place: str = "") -> Iterator[str]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _flat(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flat(inner, place)
    else:
        yield f"{place}: {messages}"


def _fault(_: object) -> Response:
    return told((_FAULT,), 500)


def told(sentences: tuple[str, ...], status: int) -> Response:
    """The sentences as the page, the part of a page or the JSON that was asked for."""
    if is_api():
        document = json.dumps({"status": status, "violations": sentences})
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        return Response(document, status, headers, content_type="application/json")
    # A fault may come before it is known who asks.
    g.setdefault("person", None)
    part = "part" if request.headers.get("HX-Request") else "page"
    shown = render_template(f"refusal_{part}.html", sentences=sentences, status=status)
    return Response(shown, status, content_type="text/html; charset=utf-8")
