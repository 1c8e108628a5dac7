"""Balances now: every shortcode as it stands, asking for a fresh balance, and watching it arrive."""

from collections.abc import Callable, Iterator
from typing import Final
from uuid import UUID

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from mpesa_balance import happened, history, shortcode_lists
from mpesa_balance.errors import Unavailable
from mpesa_balance.people.roles import Person, Right
from ops.console.changes import Change
from ops.console.desk import (
    all_on_record,
    ask,
    desk,
    person,
    registered,
    scope,
    sealer,
    transaction,
)
from ops.console.gate import demands, still_in
from ops.console.overview import COURSE, standings

blueprint = Blueprint("balances", __name__)

#: So many shortcodes are on one page.
_PAGE: Final = 25

#: After so long a stream ends and the browser opens another, so that none outlives its session, in seconds.
_STREAM_SECONDS: Final = 50.0

#: So long a browser waits before it opens another, in seconds.
_COMES_AGAIN: Final = 3


@blueprint.get("/")
@demands(Right.LOOK)
def page() -> str:
    """All shortcodes that he may see, or those that contain the digits he looks for."""
    containing, after = request.args.get("find", "").strip(), request.args.get("after", "")
    with transaction() as connection:
        mark = happened.newest(connection)
        briefs = shortcode_lists.page(
            connection, shortcodes=scope(), containing=containing, after=after, limit=_PAGE + 1
        )
        shown = standings(connection, sealer(), briefs[:_PAGE])
        all_on_record(connection, [one.newest for one in shown if one.newest], COURSE)
    following = briefs[_PAGE - 1].shortcode if len(briefs) > _PAGE else None
    return render_template(
        "balances.html", standings=shown, mark=mark, find=containing, after=after, following=following
    )


@blueprint.get("/balances/<shortcode>")
@demands(Right.LOOK, follows=True)
def rows(shortcode: str) -> str:
    """One shortcode as it stands: the part of the page that has changed."""
    with transaction() as connection:
        (standing,) = standings(connection, sealer(), [registered(connection, shortcode)])
        if standing.newest:
            all_on_record(connection, [standing.newest], COURSE)
    return render_template("balance_rows.html", standing=standing)


@blueprint.post("/shortcodes/<shortcode>/ask")
@demands(Right.ASK)
def asked(shortcode: str) -> str | AnyResponse:
    """Ask M-PESA for a fresh balance."""
    with transaction() as connection:
        registered(connection, shortcode)
    request_id = ask(shortcode)
    if not request.headers.get("HX-Request"):
        # Its query is there once a worker has taken it up: among the recent ones of that page.
        return redirect(url_for("shortcodes.page", shortcode=shortcode))
    return render_template("asked.html", request_id=request_id, shortcode=shortcode, answer=None)


@blueprint.get("/requests/<shortcode>/<uuid:request_id>")
@demands(Right.LOOK, follows=True)
def request_state(shortcode: str, request_id: UUID) -> str:
    """How a request for a shortcode stands."""
    with transaction() as connection:
        registered(connection, shortcode)
        answer = history.of_request(connection, sealer(), request_id)
    # Of another shortcode he is told nothing.
    known = answer if answer and answer.shortcode == shortcode else None
    return render_template("asked.html", request_id=request_id, shortcode=shortcode, answer=known)


@blueprint.get("/events")
@demands(Right.LOOK, follows=True)
def events() -> Response:
    """Which shortcodes have changed, as they change, by server-sent events. No amount is in them."""
    # A browser that comes again says which event it has heard last.
    heard = request.headers.get("Last-Event-ID", request.args.get("mark", ""))
    mark = int(heard[:18]) if heard.isascii() and heard.isdecimal() else 0
    stream = _stream(desk().changes.follow(_STREAM_SECONDS, mark, person().name), still_in())
    # A proxy must pass each line on at once.
    return Response(stream, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _stream(changes: Iterator[Change], still_in: Callable[[], Person | None]) -> Iterator[bytes]:
    yield f"retry: {_COMES_AGAIN * 1000}\n\n".encode()
    try:
        for change in changes:
            # Signed out, disabled, or with other grants: that counts from the next event on.
            if (who := still_in()) is None:
                return
            for shortcode in sorted(filter(who.sees, change.shortcodes)):
                yield f"event: {shortcode}\nid: {change.mark}\ndata: changed\n\n".encode()
            # Also where nothing has changed: a browser that is gone is noticed by it.
            yield b": still here\n\n"
    except Unavailable:
        # The browser comes again in a moment.
        return
