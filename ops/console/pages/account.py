"""One's own account: another password, and API tokens."""

from typing import Final
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mpesa_balance import audit
from mpesa_balance.audit import Action
from mpesa_balance.errors import RequestRefused
from mpesa_balance.people import administration, api_tokens, password_hashes, signing_in
from mpesa_balance.people.roles import Right
from ops.console import entrance
from ops.console.desk import actor, desk, person, transaction
from ops.console.gate import demands
from ops.console.pages.signing import chosen_password

blueprint = Blueprint("account", __name__)

_DAYS: Final = 90


@blueprint.get("/account")
@demands(Right.LOOK)
def page() -> str:
    """His own."""
    return _page()


@blueprint.post("/account/password")
@demands(Right.LOOK)
def password() -> Response:
    """Another password, which ends his sessions elsewhere."""
    name = person().name
    # Whoever finds a browser open must not be able to keep it.
    signing_in.by_password(
        desk().database, name, request.form.get("current", ""), request.remote_addr or "unknown"
    )
    hashed = password_hashes.hashed(chosen_password(), name)
    with transaction() as connection:
        signing_in.set_password(connection, name, hashed)
        audit.add(connection, actor(), Action.PASSWORD_SET, name)
    return entrance.welcome(name, "new password")


@blueprint.post("/account/tokens")
@demands(Right.LOOK)
def make_token() -> str:
    """A new API token, shown this once."""
    days = request.form.get("days", str(_DAYS))
    if not (days.isascii() and days.isdecimal()):
        raise RequestRefused(["a token lasts a whole number of days"])
    with transaction() as connection:
        made = administration.make_token(
            connection, actor(), person().name, request.form.get("label", ""), int(days[:9])
        )
    return _page(made)


@blueprint.post("/account/tokens/<uuid:token_id>/revoke")
@demands(Right.LOOK)
def revoke(token_id: UUID) -> Response:
    """Let nobody in with one of his tokens any more."""
    with transaction() as connection:
        administration.revoke_token(connection, actor(), token_id, person().name)
    return redirect(url_for("account.page"))


def _page(made: str | None = None) -> str:
    with transaction() as connection:
        tokens = api_tokens.listed(connection, person().name)
    return render_template(
        "account.html", tokens=tokens, made=made, days=_DAYS, shortest=password_hashes.SHORTEST
    )
