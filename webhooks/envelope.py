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


#: A queue timeout has no documented shape: any object is one, and its address places it.
_ENVELOPES: Final = {RESULT: _ResultEnvelope(), TIMEOUT: _Tolerant()}


def problem(kind: str, payload: bytes) -> str | None:
    """What is wrong with a callback's body, or None. The answer never repeats the body."""
    try:
        errors = _ENVELOPES[kind].validate(read_json(payload))
    except CallbackUnreadable as error:
        return str(error)
    return f"Invalid payload: {errors}" if errors else None
