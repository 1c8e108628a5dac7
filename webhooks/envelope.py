"""What a callback's body must look like for Daraja to be told that it was understood."""

from typing import Any, Final

from marshmallow import INCLUDE, Schema, ValidationError, fields

from mpesa_balance.callback_urls import RESULT, TIMEOUT
from mpesa_balance.errors import CallbackUnreadable
from mpesa_balance.results import read_code, read_json


def _is_code(value: Any) -> None:
    try:
        read_code(value)
    except CallbackUnreadable as error:
        raise ValidationError(str(error)) from error


class _Tolerant(Schema):
    """Daraja adds fields without notice; only what is needed is checked."""

    class Meta:
        unknown = INCLUDE


class _Result(_Tolerant):
    ResultCode = fields.Raw(required=True, validate=_is_code)


class _ResultEnvelope(_Tolerant):
    Result = fields.Nested(_Result, required=True)


#: Any whole number up to here is a code that can be read.
_PLAIN_CODES: Final = 9999

#: A queue timeout has no documented shape: any object is one, and its address places it.
_ENVELOPES: Final = {RESULT: _ResultEnvelope(), TIMEOUT: _Tolerant()}


def problem(kind: str, payload: bytes) -> str | None:
    """What is wrong with a callback's body, or None. The answer never repeats the body."""
    try:
        document = read_json(payload)
    except CallbackUnreadable as error:
        return str(error)
    if is_plain(document):
        return None
    errors = _ENVELOPES[kind].validate(document)
    return f"Invalid payload: {errors}" if errors else None


def is_plain(document: Any) -> bool:
    """Whether nothing can be wrong with it: so nearly all are, and the schema takes ten times as long."""
    result = document.get("Result") if isinstance(document, dict) else None
    code = result.get("ResultCode") if isinstance(result, dict) else None
    return code == "0" or (type(code) is int and 0 <= code <= _PLAIN_CODES)
