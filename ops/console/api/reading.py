"""How a call is read: what cannot be read as JSON is the caller's mistake, however it fails in Python."""

from typing import Any, Final

from flask import Request
from flask_smorest import Blueprint as AnyBlueprint
from webargs.flaskparser import FlaskParser, abort

_NO_JSON: Final = "send JSON, with Content-Type: application/json"


class _Parser(FlaskParser):
    """webargs's, which lets two kinds of JSON through as faults, and takes other types for no body."""

    def _raw_load_json(self, req: Request) -> Any:
        if not req.is_json:
            abort(415, messages={"body": [_NO_JSON]})
        try:
            return super()._raw_load_json(req)
        except (ValueError, RecursionError) as error:
            # Also a number of thousands of digits, and brackets in brackets without end.
            abort(400, exc=error, messages={"body": [_NO_JSON]})


class Blueprint(AnyBlueprint):  # type: ignore[misc]
    """flask-smorest's, which reads calls so."""

    ARGUMENTS_PARSER = _Parser()
