"""Exports: balances and queries as files, sent while they are read."""

from functools import partial

from flask import Blueprint, Response, abort, render_template, request

from mpesa_balance import audit, tabular
from mpesa_balance.audit import Action
from mpesa_balance.errors import NotFound
from mpesa_balance.exports import EXPORTS, Selection
from mpesa_balance.people.roles import Right
from ops.console.asked_for import instant
from ops.console.attachments import attachment
from ops.console.desk import actor, desk, person, registered, scope, transaction
from ops.console.files_sent import Wanted
from ops.console.gate import demands, still_in

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
    if shortcode:
        with transaction() as connection:
            registered(connection, shortcode)
    stem = "-".join(filter(None, (what, shortcode)))
    if request.method == "HEAD":
        return attachment(b"", stem, ending)
    who, now_in = person(), still_in()
    wanted = Wanted(
        export=EXPORTS[what],
        selection=selection,
        ending=ending,
        name=who.name,
        may_go_on=lambda: now_in() == who,
    )
    told = partial(_on_record, actor(), selection, f"{what} as {ending}")
    return attachment(desk().exports.sent(wanted, told), stem, ending)


def _on_record(by: str, selection: Selection, what: str) -> None:
    # By each shortcode, so that it is found by any of them.
    subjects = ["all shortcodes"] if selection.shortcodes is None else selection.shortcodes
    with transaction() as connection:
        detail = f"{what}{_period(selection)}"
        audit.add_for_each(connection, by, Action.EXPORTED, subjects, detail)


def _shortcodes(shortcode: str) -> tuple[str, ...] | None:
    granted = scope()
    if shortcode:
        return (shortcode,)
    return None if granted is None else tuple(granted)


def _period(selection: Selection) -> str:
    told = {"since": selection.since, "until": selection.until}
    return "".join(f", {name} {at.isoformat()}" for name, at in told.items() if at)
