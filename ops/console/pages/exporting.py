"""Exports: balances and queries as files, sent while they are read."""

from flask import Blueprint, Response, abort, render_template, request

from mpesa_balance import audit, tabular
from mpesa_balance.audit import Action
from mpesa_balance.errors import NotFound
from mpesa_balance.exports import EXPORTS, Selection
from mpesa_balance.people.roles import Right
from ops.console.asked_for import instant
from ops.console.attachments import attachment
from ops.console.desk import actor, desk, person, registered, scope, transaction
from ops.console.gate import demands

blueprint = Blueprint("exporting", __name__)


@blueprint.get("/exports")
@demands(Right.LOOK)
def page() -> str:
    """The form."""
    return render_template("exports.html", whats=list(EXPORTS), endings=tabular.ENDINGS)


@blueprint.get("/exports/file")
@demands(Right.LOOK)
def download() -> Response:
    """The file: of all shortcodes that he may see, or of one."""
    what, ending = request.args.get("what", "balances"), request.args.get("ending", ".csv")
    if what not in EXPORTS or ending not in tabular.ENDINGS:
        kinds = f"{', '.join(EXPORTS)} as {', '.join(tabular.ENDINGS)}"
        raise NotFound(f"there is no export of {what} as {ending}: there are {kinds}")
    shortcode = request.args.get("shortcode", "").strip()
    selection = Selection(shortcodes=_shortcodes(shortcode), since=instant("since"), until=instant("until"))
    if request.environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        # There an answer that breaks off looks like one that has come to its end.
        abort(505, "an export is sent over HTTP/1.1: have the proxy speak it (proxy_http_version 1.1)")
    with transaction() as connection:
        if shortcode:
            registered(connection, shortcode)
        # Before anything is given out; by each shortcode, so that it is found by any of them.
        subjects = ["all shortcodes"] if selection.shortcodes is None else selection.shortcodes
        detail = f"{what} as {ending}{_period(selection)}"
        audit.add_for_each(connection, actor(), Action.EXPORTED, subjects, detail)
    body = desk().exports.sent(EXPORTS[what], selection, ending, person().name)
    return attachment(body, "-".join(filter(None, (what, shortcode))), ending)


def _shortcodes(shortcode: str) -> tuple[str, ...] | None:
    granted = scope()
    if shortcode:
        return (shortcode,)
    return None if granted is None else tuple(granted)


def _period(selection: Selection) -> str:
    told = {"since": selection.since, "until": selection.until}
    return "".join(f", {name} {at.isoformat()}" for name, at in told.items() if at)
