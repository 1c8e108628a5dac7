"""The application that every candidate serves, and its forms for the interfaces that they speak."""

import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from flask import Flask, request

from mpesa_balance.errors import CallbackRejected
from ops.bench.bridges import RsgiBridge, ThreadBridge, WholeBody
from webhooks.door import LONGEST_BODY, _bounded_body

#: How long the slow view takes, in seconds.
SLOW_VIEW: Final = 0.3

#: Names the file that is given a line for each body that the view on /kept took for whole.
KEPT: Final = "BENCH_KEPT"


def _create() -> Flask:
    app = Flask("target", static_folder=None)
    app.add_url_rule("/", "receive", _receive, methods=["POST"])
    app.add_url_rule("/slow", "slow", _slow, methods=["POST"])
    app.add_url_rule("/kept", "kept", _kept, methods=["POST"])
    app.register_error_handler(CallbackRejected, _refused)
    return app


def _receive() -> dict[str, Any]:
    _whole_body()
    return {"ResultCode": 0, "ResultDesc": "Accepted"}


def _whole_body() -> bytes:
    """What the door of the webhook tier reads, and what it leaves to the bridge before it."""
    body = _bounded_body(request)
    if len(body) < (request.content_length or 0) <= LONGEST_BODY:
        raise CallbackRejected("the body ended before the length that was announced", status=400)
    return body


def _slow() -> dict[str, Any]:
    answer = _receive()
    time.sleep(SLOW_VIEW)
    return answer


def _kept() -> dict[str, Any]:
    length = len(_whole_body())
    with Path(os.environ[KEPT]).open("a") as kept:
        kept.write(f"{length}\n")
    return {"ResultCode": 0, "ResultDesc": "Accepted"}


def _refused(error: CallbackRejected) -> tuple[dict[str, Any], int]:
    return {"ResultCode": 1, "ResultDesc": str(error)}, error.status


wsgi: Final = _create()
# By name, because only the extra "bench" installs these two: types are checked without them.
asgiref: Final = WholeBody(import_module("asgiref.wsgi").WsgiToAsgi(wsgi), LONGEST_BODY)
a2wsgi: Final = WholeBody(import_module("a2wsgi").WSGIMiddleware(wsgi, workers=8), LONGEST_BODY)
bridge: Final = ThreadBridge(wsgi, LONGEST_BODY)
rsgi: Final = RsgiBridge(wsgi, LONGEST_BODY)
