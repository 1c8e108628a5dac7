"""Coming in and going out: a session is begun or ended, on record, and the browser is told."""

from flask import redirect, session, url_for
from werkzeug.wrappers import Response

from mpesa_balance import audit
from mpesa_balance.audit import Action
from mpesa_balance.people import sessions
from ops.console.desk import transaction
from ops.console.gate import TOKEN, is_way_back

#: Where somebody wanted to go before he was sent to sign in.
_WAY_BACK = "way_back"


def remember(way_back: str | None) -> None:
    """Keep where somebody wanted to go, if that is a page of ours."""
    if way_back and is_way_back(way_back):
        session[_WAY_BACK] = way_back


def welcome(name: str, by: str) -> Response:
    """Begin the session of a user who has shown who he is, and lead him to where he wanted to go.

    by: how he has shown it, for the audit trail.
    """
    way_back = session.get(_WAY_BACK)
    with transaction() as connection:
        token = sessions.begin(connection, name)
        audit.add(connection, f"console:{name}", Action.SIGNED_IN, name, by)
    # Whatever a stranger may have put into this browser before is worth nothing after.
    session.clear()
    session[TOKEN] = token
    return redirect(way_back or url_for("balances.page"))


def leave(name: str) -> Response:
    """End the session of this browser."""
    with transaction() as connection:
        sessions.end(connection, session.get(TOKEN, ""))
        audit.add(connection, f"console:{name}", Action.SIGNED_OUT, name)
    session.clear()
    return redirect(url_for("signing.sign_in"))
