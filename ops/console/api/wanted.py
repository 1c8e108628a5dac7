"""What the API takes, as marshmallow schemas: the description of it is made from these."""

from typing import Any

from marshmallow import Schema, ValidationError, validate
from marshmallow.fields import UUID, AwareDateTime, Boolean, Integer, String

from mpesa_balance.contract import check_shortcode
from mpesa_balance.states import QueryState
from ops.console.api.schemas import SHORTCODE

_NO_INSTANT = (
    "must be an instant with its zone, such as 2026-11-22T12:00:00Z; in an address + is written %2B"
)


class _StrictBoolean(Boolean):
    """true or false, and nothing that could be taken for one of them."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class _WholeNumber(Integer):
    """A number without a fraction, however it is written, and no text that could be read as one."""

    def _validated(self, value: Any) -> int:
        is_whole = isinstance(value, float) and value.is_integer()
        return super()._validated(int(value) if is_whole else value)


class Ask(Schema):
    """A request for a balance. The rules of the task `mpesa_balance.request_balance` hold."""

    # Checked by the contract of that task, as everybody's is: its rules are described here, and only
    # types are looked at. Keys are narrower than there, so that their rule can be described.
    shortcode = String(required=True, metadata=SHORTCODE)
    idempotency_key = String(
        allow_none=True,
        validate=[
            validate.Regexp("^[ -~]*$", error="must be printable ASCII characters"),
            validate.Length(1, 200),
        ],
        metadata={
            "description": "Asking twice with one key for one shortcode is one request.",
            "example": "payroll-2026-11",
        },
    )
    remarks = String(
        allow_none=True,
        metadata={
            "description": "What Daraja is told with the query.",
            "pattern": "^[A-Za-z0-9 .,:;/()_+-]*$",
            "minLength": 2,
            "maxLength": 100,
            "example": "Before payroll",
        },
    )
    max_age = _WholeNumber(
        allow_none=True,
        strict=True,
        metadata={
            "description": "A balance that is at most this many seconds old will do.",
            "minimum": 0,
            "maximum": 365 * 86_400,
            "example": 300,
        },
    )
    force = _StrictBoolean(
        load_default=False,
        metadata={"description": "Ask M-PESA even where a query is in flight or was just answered."},
    )


def _is_shortcode(value: str) -> None:
    if problem := check_shortcode(value):
        raise ValidationError(problem)


class QueriesWanted(Schema):
    """Which queries."""

    shortcode = String(
        validate=_is_shortcode, metadata=SHORTCODE | {"description": "Those of this shortcode only."}
    )
    state = String(
        validate=validate.OneOf([str(one) for one in QueryState]),
        metadata={"description": "Those that stand there only."},
    )
    before = UUID(metadata={"description": "Those that were opened before this one of them."})
    limit = Integer(
        load_default=50, validate=validate.Range(1, 500), metadata={"description": "At most so many."}
    )


class PeriodWanted(Schema):
    """From when until when, and how many balances."""

    since = AwareDateTime(
        required=True,
        error_messages={"invalid": _NO_INSTANT, "invalid_awareness": _NO_INSTANT},
        metadata={"description": "Those from this instant on.", "example": "2026-11-01T00:00:00Z"},
    )
    until = AwareDateTime(
        error_messages={"invalid": _NO_INSTANT, "invalid_awareness": _NO_INSTANT},
        metadata={"description": "Those before this instant, which is later than since; now if not given."},
    )
    limit = Integer(
        load_default=500,
        validate=validate.Range(1, 2000),
        metadata={"description": "At most so many; of more, the last of each of so many equal parts."},
    )
