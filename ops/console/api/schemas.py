"""What the API gives, as marshmallow schemas: the description of it is made from these."""

from collections.abc import Iterable
from typing import Any, Final

from marshmallow import Schema, validate
from marshmallow.fields import Boolean, Integer, List, Nested, String

from mpesa_balance.answers import AnsweredBy
from mpesa_balance.states import QueryState

#: How a shortcode is described wherever it stands.
SHORTCODE: Final[dict[str, Any]] = {
    "description": "A shortcode, till or MSISDN.",
    "pattern": "^[0-9]*$",
    "minLength": 5,
    "maxLength": 12,
    "example": "600000",
}

_INSTANT = {"format": "date-time", "example": "2026-11-22T09:00:00+00:00"}
_ID = {"format": "uuid", "example": "019a9f3c-1c2b-7d3e-8f40-5a6b7c8d9e0f"}


def _text(told: str, *, null: bool = False, **more: Any) -> String:
    return String(required=True, allow_none=null, metadata={"description": told, **more})


def _instant(told: str, *, null: bool = False) -> String:
    return _text(told, null=null, **_INSTANT)


def _id(told: str, *, null: bool = False) -> String:
    return _text(told, null=null, **_ID)


def _amount(told: str) -> String:
    told = f"{told}, in units of the currency; null where M-PESA told none."
    return _text(told, null=True, pattern=r"^-?[0-9]{1,18}(\.[0-9]{1,6})?$", example="700000.00")


def _one_of(words: Iterable[str], told: str, *, null: bool = False) -> String:
    choice = validate.OneOf([str(word) for word in words])
    return String(required=True, allow_none=null, validate=choice, metadata={"description": told})


def _flag(told: str) -> Boolean:
    return Boolean(required=True, metadata={"description": told})


def _listed(inner: Any, told: str) -> List[Any]:
    return List(inner, required=True, metadata={"description": told})


class Refusal(Schema):
    """Why something was not done."""

    status = Integer(required=True, metadata={"description": "The status of this answer.", "example": 422})
    violations = _listed(
        String(metadata={"example": "shortcode must be a string of 5 to 12 digits, such as '600000'"}),
        "All that is wrong, a sentence each.",
    )


class Account(Schema):
    """One account of a balance."""

    name = _text("As M-PESA names it.", example="Working Account")
    currency = _text("Null where M-PESA told none.", null=True, example="KES")
    current = _amount("What is on it")
    available = _amount("What can be paid out: current without reserved")
    reserved = _amount("What is set aside for payments under way")
    uncleared = _amount("What has come in and cannot be used yet")


class Answer(Schema):
    """How a request or a query stands."""

    request_id = _id("The request that it answers, or the first that its query answered.", null=True)
    query_id = _id("The query; null where nothing was asked of M-PESA.", null=True)
    shortcode = _text("A shortcode, till or MSISDN; null where what was asked was none.", null=True)
    state = _one_of(QueryState, "Where the query stands; null where the request was refused.", null=True)
    accounts = _listed(Nested(Account), "None where there is no balance.")
    completed_at = _instant("When M-PESA says that the balances stood so.", null=True)
    ended_at = _instant("When the query ended.", null=True)
    late = _flag("The result came after the query had timed out.")
    result_code = _text("As Daraja sent it.", null=True, example="0")
    result_description = _text("As Daraja sent it.", null=True)
    meaning = _text("What is known of the code of a failure.", null=True)
    advice = _text("What to do about a failure.", null=True)
    retryable = _flag("Whether asking again may help after a failure.")
    answered_by = _one_of(AnsweredBy, "What answers the request; null where a query is shown.", null=True)
    next_possible_at = _instant("From when on M-PESA is asked again.", null=True)
    warnings = _listed(String(), "What is odd about the balance, as codes.")
    refusal = _text("Why nothing was asked of M-PESA.", null=True)


class Event(Schema):
    """One line of a timeline."""

    at = _instant("When it happened, by the database clock.")
    what = _text("What happened, in a word.", example="submitted")
    detail = _text("More of it.", null=True, example="attempt 1")


class Standing(Answer):
    """How a request or a query stands, with its timeline."""

    timeline = _listed(
        Nested(Event), "All that happened, in order; empty where nothing was asked of M-PESA."
    )


class Shortcode(Schema):
    """A shortcode that may be seen."""

    shortcode = String(required=True, metadata=SHORTCODE)
    app = _text("The Daraja app that asks for it.")
    suspended_at = _instant(
        "Since when nothing is asked for it; null where it is not suspended.", null=True
    )
    suspended_because = _text("Why not.", null=True)


class Listed(Schema):
    """A query in a list."""

    id = _id("Its id.")
    shortcode = String(required=True, metadata=SHORTCODE)
    state = _one_of(QueryState, "Where it stands.")
    late = _flag("The result came after the query had timed out.")
    attempts = Integer(required=True, metadata={"description": "How often it was put to Daraja."})
    created_at = _instant("When it was opened.")
    ended_at = _instant("When it ended.", null=True)
    result_code = _text("As Daraja sent it.", null=True, example="0")
    result_description = _text("As Daraja sent it.", null=True)


class Queries(Schema):
    """Queries, newest first."""

    queries = _listed(Nested(Listed), "At most so many as were wanted.")
    before = _id("Send it for the queries that follow; null after the last.", null=True)


class Balance(Schema):
    """A balance of the past."""

    query_id = _id("The query that brought it.")
    shortcode = String(required=True, metadata=SHORTCODE)
    as_of = _instant("When M-PESA says that it stood so, or when it was asked for.")
    accounts = _listed(Nested(Account), "All accounts of the shortcode.")


class Asked(Schema):
    """A request that was taken: look at it under its Location."""

    request_id = _id("Its id.")
    shortcode = String(required=True, metadata=SHORTCODE)
