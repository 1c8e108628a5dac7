"""Alerts: those that are open, those that are over, and saying that one is known."""

from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mpesa_balance import alert_history, alert_texts, alerts, audit
from mpesa_balance.alert_rules import OF_ACCOUNTS
from mpesa_balance.audit import Action
from mpesa_balance.people.roles import Right
from ops.console.desk import actor, person, scope, sealer, transaction
from ops.console.gate import demands

blueprint = Blueprint("alerting", __name__)


@blueprint.get("/alerts")
@demands(Right.LOOK)
def listed() -> str:
    """The alerts of what he may see, newest first."""
    everything = "all" in request.args
    with transaction() as connection:
        shown = alert_history.listed(connection, sealer(), scope(), everything=everything)
        for shortcode in sorted({one.shortcode or "" for one in shown if one.kind in OF_ACCOUNTS}):
            audit.add(connection, actor(), Action.BALANCE_SHOWN, shortcode, "in its alerts")
    rows = [(one, alert_texts.headline(one.facts), alert_texts.amounts(one.facts)) for one in shown]
    return render_template("alerts.html", rows=rows, everything=everything)


@blueprint.post("/alerts/<uuid:alert_id>/acknowledge")
@demands(Right.ACKNOWLEDGE)
def acknowledge(alert_id: UUID) -> Response:
    """Say that he knows of it."""
    with transaction() as connection:
        # Whoever may not see it learns not even that there is one.
        if not person().sees(alert_history.shortcode_of(connection, alert_id)):
            raise alerts.unknown(alert_id)
        alerts.acknowledge(connection, alert_id, person().name)
        about = f"alert {alert_id}"
        audit.add(connection, actor(), Action.ALERT_ACKNOWLEDGED, about, f"by {person().name}")
    return redirect(url_for("alerting.listed"))
