"""A shortcode: its course as a plot, thresholds, schedules, breaker, password age and recent queries."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Blueprint, Response, jsonify, render_template, request

from mpesa_balance import alert_rulebook, audit, happened, query_lists, schedules, series
from mpesa_balance.alert_rules import Kind, Rule
from mpesa_balance.audit import Action
from mpesa_balance.people.roles import Right
from mpesa_balance.series import Point
from ops.console.asked_for import instant
from ops.console.desk import actor, all_on_record, registered, sealer, transaction
from ops.console.gate import demands
from ops.console.overview import COURSE, standings

blueprint = Blueprint("shortcodes", __name__)

#: A plot is hardly wider than this, in pixels.
_POINTS: Final = 600

#: What is drawn at first, and what can be chosen.
_PERIODS: Final = {"1d": "a day", "7d": "a week", "30d": "a month", "365d": "a year"}
_FIRST: Final = "30d"

_RECENT: Final = 15

_THRESHOLDS: Final = (Kind.BELOW, Kind.ABOVE)


@blueprint.get("/shortcodes/<shortcode>")
@demands(Right.LOOK)
def page(shortcode: str) -> str:
    """Everything about one shortcode."""
    with transaction() as connection:
        mark = happened.newest(connection)
        (standing,) = standings(connection, sealer(), [registered(connection, shortcode)])
        if standing.newest:
            all_on_record(connection, [standing.newest], COURSE)
        planned = schedules.every(connection, shortcode)
        rules = alert_rulebook.every(connection, sealer())
        recent = query_lists.newest(connection, shortcodes=[shortcode], limit=_RECENT)
    return render_template(
        "shortcode.html",
        standing=standing,
        mark=mark,
        schedules=planned,
        rules=[rule for rule in rules if _is_of(rule, shortcode)],
        queries=recent,
        periods=_PERIODS,
        first=_FIRST,
    )


@blueprint.get("/shortcodes/<shortcode>/recent")
@demands(Right.LOOK, follows=True)
def recent(shortcode: str) -> str:
    """Its recent queries: the part of the page that has changed."""
    with transaction() as connection:
        registered(connection, shortcode)
        found = query_lists.newest(connection, shortcodes=[shortcode], limit=_RECENT)
    return render_template("query_rows.html", queries=found)


@blueprint.get("/shortcodes/<shortcode>/course")
@demands(Right.LOOK, follows=True)
def course(shortcode: str) -> Response:
    """What was available in each account over a period, for the plot: seconds since 1970, and amounts.

    Amounts are numbers here and nowhere else: they are places on a screen.
    """
    until = instant("until") or datetime.now(UTC)
    since = instant("since") or until - timedelta(days=30)
    with transaction() as connection:
        registered(connection, shortcode)
        points = series.between(connection, sealer(), shortcode, since, until, _POINTS)
        rules = alert_rulebook.every(connection, sealer(), _THRESHOLDS)
        if points:
            detail = f"plot of {len(points)} balances since {since.isoformat()}"
            audit.add(connection, actor(), Action.BALANCE_SHOWN, shortcode, detail)
    names = dict.fromkeys(one.name for point in points for one in point.accounts)
    wanted = request.args.get("account")
    drawn = [name for name in names if wanted in (None, name)]
    return jsonify(
        at=[point.as_of.timestamp() for point in points],
        accounts=[_line(name, points, shortcode, rules) for name in drawn],
    )


def _is_of(rule: Rule, shortcode: str) -> bool:
    """Whether a rule says something about a shortcode that it does not say of every other."""
    return rule.shortcode == shortcode or bool(rule.shortcode is None and rule.limits.document())


def _line(name: str, points: Iterable[Point], shortcode: str, rules: Iterable[Rule]) -> dict[str, Any]:
    told = [next((one for one in point.accounts if one.name == name), None) for point in points]
    currency = next((one.currency for one in reversed(told) if one), None)
    thresholds = [
        {"kind": rule.kind, "amount": float(rule.limits.threshold)}
        for rule in rules
        if rule.concerns(shortcode) and rule.account in (None, name) and rule.limits.threshold is not None
    ]
    available = [None if one is None or one.available is None else float(one.available) for one in told]
    return {"name": name, "currency": currency, "available": available, "thresholds": thresholds}
