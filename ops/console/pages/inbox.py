"""The inbox: callbacks that wait for a person, one of them whole, its bytes, and judging it again."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mpesa_balance import callback_handling, received
from mpesa_balance.database import Connection
from mpesa_balance.inbox import unknown
from mpesa_balance.people.roles import Right
from mpesa_balance.received import INBOX, SELECTIONS, Received
from ops.console.desk import actor, person, scope, sealer, transaction
from ops.console.gate import demands

blueprint = Blueprint("inbox", __name__)


@blueprint.get("/inbox")
@demands(Right.HANDLE)
def listed() -> str:
    """The callbacks that wait, or those that are something else."""
    only = request.args.get("only", "")
    selections = (only,) if only in SELECTIONS else INBOX
    with transaction() as connection:
        found = received.listed(connection, selections, scope(), limit=100)
        waiting = received.waiting(connection) if person().shortcodes is None else {}
    return render_template("inbox.html", callbacks=found, only=only, selections=SELECTIONS, waiting=waiting)


@blueprint.get("/inbox/<int:number>")
@demands(Right.HANDLE)
def page(number: int) -> str:
    """One callback, without its bytes."""
    with transaction() as connection:
        return _page(connection, _found(connection, number))


@blueprint.post("/inbox/<int:number>/payload")
@demands(Right.HANDLE)
def payload(number: int) -> str:
    """Its bytes as they came, which hold balances: on record who has looked."""
    with transaction() as connection:
        one = _found(connection, number)
        shown = callback_handling.payload(connection, sealer(), number, actor())
        return _page(connection, one, shown)


@blueprint.post("/inbox/<int:number>/replay")
@demands(Right.HANDLE)
def replay(number: int) -> Response:
    """Judge it again, after what kept it from being applied was mended."""
    with transaction() as connection:
        _found(connection, number)
        callback_handling.replay(connection, sealer(), number, person().name, actor())
    return redirect(url_for("inbox.page", number=number))


def _found(connection: Connection, number: int) -> Received:
    """A callback that he may see; one whose attempt is gone is for those who see everything."""
    one = received.shown(connection, number)
    if not person().sees(one.shortcode):
        raise unknown(number)
    return one


def _page(connection: Connection, one: Received, shown: bytes | None = None) -> str:
    replays = received.replays(connection, one.id)
    text = None if shown is None else shown.decode(errors="replace")
    return render_template("callback.html", callback=one, replays=replays, payload=text)
