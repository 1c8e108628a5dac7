"""What a page or a call was asked for, read from its address or its form; what is wrong is said."""

from datetime import datetime
from uuid import UUID

from flask import request

from mpesa_balance import moments
from mpesa_balance.errors import RequestRefused


def instant(name: str) -> datetime | None:
    """An instant, or how long ago; None where none is given. Raises RequestRefused."""
    text = _given(name)
    try:
        return moments.read(text) if text else None
    except ValueError as error:
        raise RequestRefused([f"{name}: {error}"]) from None


def identity(name: str) -> UUID | None:
    """The id of something; None where none is given. Raises RequestRefused."""
    text = _given(name)
    try:
        return UUID(text) if text else None
    except ValueError:
        raise RequestRefused([f"{name}: {text!r} is no id: copy it from a page or an answer"]) from None


def _given(name: str) -> str:
    return request.values.get(name, "").strip()
