"""The calls of the JSON API: shortcodes, balances, their history, queries, and asking."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from flask import url_for

from mpesa_balance import audit, history, query_lists, series, shortcode_lists
from mpesa_balance.audit import Action
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.people.roles import Right
from mpesa_balance.series import Point
from mpesa_balance.states import QueryState
from ops.console import desk
from ops.console.api import schemas
from ops.console.api.reading import Blueprint
from ops.console.api.wanted import Ask, PeriodWanted, QueriesWanted
from ops.console.desk import actor, all_on_record, on_record, person, registered, scope, sealer, transaction
from ops.console.gate import demands

blueprint = Blueprint("api", __name__, url_prefix="/api/v1", description="Balances and queries.")

#: So many shortcodes are told at once.
_MOST: Final = 10_000

_REFUSED: Final = {
    400: "The body is no JSON.",
    401: "Who asks has not shown who he is: the token is missing, unknown, over or revoked.",
    403: "His role, or what was granted to him, does not go so far.",
    404: "There is no such thing, or none that he may see.",
    413: "The body is too large.",
    415: "The body is of another type than JSON.",
    422: "What was asked breaks rules, all of which are told.",
    500: "A fault of this system, which its log tells.",
    503: "Postgres or Redis is away: try again.",
}

_CHALLENGE: Final = {"WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}}}
_LOCATION: Final = {
    "description": "Where it can be looked at, once a worker has taken it up: until then that is a 404.",
    "schema": {"type": "string", "format": "uri-reference"},
}

_SHORTCODE: Final = {
    "in": "path",
    "name": "shortcode",
    "description": schemas.SHORTCODE["description"],
    "schema": {"type": "string"} | schemas.SHORTCODE,
}
_QUERY: Final = {"in": "path", "name": "query_id", "description": "The id of a query, or of a request."}


def _refusals(*statuses: int) -> Any:
    """Tell in the description how a call may be refused, and what it is called."""

    def told(view: Any) -> Any:
        described = blueprint.doc(operationId=view.__name__)(view)
        for status in (401, 403, 500, 503, *statuses):
            described = blueprint.alt_response(
                status,
                schema=schemas.Refusal,
                description=_REFUSED[status],
                headers=_CHALLENGE if status == 401 else None,
            )(described)
        return described

    return told


@blueprint.get("/shortcodes")
@_refusals()
@blueprint.response(200, schemas.Shortcode(many=True))
@demands(Right.LOOK)
def shortcodes() -> Any:
    """The shortcodes that may be seen."""
    with transaction() as connection:
        found = shortcode_lists.page(connection, shortcodes=scope(), limit=_MOST)
    return [one.document() for one in found]


@blueprint.get("/balances")
@_refusals()
@blueprint.response(200, schemas.Answer(many=True))
@demands(Right.LOOK)
def balances() -> Any:
    """The newest balance of every shortcode that may be seen."""
    with transaction() as connection:
        found = history.latest(connection, sealer(), scope())
        return [one.document() for one in all_on_record(connection, found)]


@blueprint.get("/balances/<shortcode>", parameters=[_SHORTCODE])
@_refusals(404)
@blueprint.response(200, schemas.Answer)
@demands(Right.LOOK)
def balance(shortcode: str) -> Any:
    """The newest balance of a shortcode."""
    with transaction() as connection:
        registered(connection, shortcode)
        found = history.latest(connection, sealer(), [shortcode])
        if not found:
            raise NotFound(f"shortcode {shortcode} has no balance yet: ask for one")
        return on_record(connection, found[0]).document()


@blueprint.get("/balances/<shortcode>/history", parameters=[_SHORTCODE])
@_refusals(404, 422)
@blueprint.arguments(PeriodWanted, location="query")
@blueprint.response(200, schemas.Balance(many=True))
@demands(Right.LOOK)
def balance_history(wanted: dict[str, Any], shortcode: str) -> Any:
    """The balances of a period, oldest first.

    Of more than are wanted, the last of each of so many equal parts of the period.
    """
    until = wanted.get("until") or datetime.now(UTC)
    if wanted["since"] >= until:
        raise RequestRefused(["since must be before until"])
    with transaction() as connection:
        registered(connection, shortcode)
        found = series.between(connection, sealer(), shortcode, wanted["since"], until, wanted["limit"])
        if found:
            detail = f"{len(found)} balances since {wanted['since'].isoformat()}"
            audit.add(connection, actor(), Action.BALANCE_SHOWN, shortcode, detail)
    return [_document(one) for one in found]


@blueprint.get("/queries")
@_refusals(422)
@blueprint.arguments(QueriesWanted, location="query")
@blueprint.response(200, schemas.Queries)
@demands(Right.LOOK)
def queries(wanted: dict[str, Any]) -> Any:
    """The newest queries, without amounts.

    Those that follow are got by sending `before`, as it was given, until it is null.
    """
    shortcode, limit = wanted.get("shortcode"), wanted["limit"]
    if shortcode is not None:
        person().demand_shortcode(shortcode)
    state = QueryState(wanted["state"]) if "state" in wanted else None
    with transaction() as connection:
        found = query_lists.newest(
            connection,
            shortcodes=scope() if shortcode is None else [shortcode],
            state=state,
            before=wanted.get("before"),
            limit=limit + 1,
        )
    before = str(found[limit - 1].id) if len(found) > limit else None
    return {"queries": [one.document() for one in found[:limit]], "before": before}


@blueprint.post("/queries")
@_refusals(400, 404, 413, 415, 422)
@blueprint.arguments(Ask)
@blueprint.response(202, schemas.Asked, headers={"Location": _LOCATION})
@demands(Right.ASK)
def ask(wanted: dict[str, Any]) -> Any:
    """Ask for a balance.

    It is taken, and not yet answered: look at it until its state says so, or a refusal stands in it.
    """
    # What is no request at all is told before it is looked for, with everything that is wrong.
    BalanceAsk.read(wanted)
    with transaction() as connection:
        registered(connection, wanted["shortcode"])
    request_id = desk.ask(**wanted)
    headers = {"Location": url_for("api.query", query_id=request_id)}
    return {"request_id": str(request_id), "shortcode": wanted["shortcode"]}, 202, headers


@blueprint.get("/queries/<uuid:query_id>", parameters=[_QUERY])
@_refusals(404)
@blueprint.response(200, schemas.Standing)
@demands(Right.LOOK)
def query(query_id: UUID) -> Any:
    """How a query stands, with its timeline; the id of a request will do."""
    with transaction() as connection:
        answer = desk.query(connection, query_id)
        events = history.timeline(connection, answer.query_id) if answer.query_id else []
    return answer.document() | {"timeline": [one.document() for one in events]}


def _document(point: Point) -> dict[str, Any]:
    return {
        "query_id": str(point.query_id),
        "shortcode": point.shortcode,
        "as_of": point.as_of.isoformat(),
        "accounts": [one.document() for one in point.accounts],
    }
