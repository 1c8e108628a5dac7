"""People: their accounts, for administrators."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mpesa_balance.errors import RequestRefused
from mpesa_balance.people import administration, users
from mpesa_balance.people.links import LASTS_HOURS
from mpesa_balance.people.roles import Right, Role
from ops.console.desk import actor, desk, transaction
from ops.console.gate import demands

blueprint = Blueprint("people", __name__)


@blueprint.get("/people")
@demands(Right.MANAGE)
def listed() -> str:
    """All accounts, and the form for another."""
    with transaction() as connection:
        found = users.every(connection)
    return render_template("people.html", users=found, roles=list(Role))


@blueprint.post("/people")
@demands(Right.MANAGE)
def add() -> str:
    """Make an account, and show its link this once."""
    name = request.form.get("name", "").strip().casefold()
    role, shortcodes = _scope()
    with transaction() as connection:
        path = administration.add(connection, actor(), name, role, shortcodes)
    return _linked(name, path)


@blueprint.get("/people/<name>")
@demands(Right.MANAGE)
def page(name: str) -> str:
    """One account."""
    with transaction() as connection:
        found = users.named(connection, name)
    return render_template("person.html", user=found, roles=list(Role))


@blueprint.post("/people/<name>")
@demands(Right.MANAGE)
def change(name: str) -> Response:
    """Give an account another role and other shortcodes."""
    role, shortcodes = _scope()
    with transaction() as connection:
        administration.change(connection, actor(), name, role, shortcodes)
    return _back(name)


@blueprint.post("/people/<name>/disable")
@demands(Right.MANAGE)
def disable(name: str) -> Response:
    """Let an account in no more."""
    with transaction() as connection:
        administration.disable(connection, actor(), name)
    return _back(name)


@blueprint.post("/people/<name>/enable")
@demands(Right.MANAGE)
def enable(name: str) -> Response:
    """Let a disabled account in again."""
    with transaction() as connection:
        administration.enable(connection, actor(), name)
    return _back(name)


@blueprint.post("/people/<name>/link")
@demands(Right.MANAGE)
def link(name: str) -> str:
    """A new one-time link, shown this once."""
    with transaction() as connection:
        path = administration.link(connection, actor(), name)
    return _linked(name, path)


def _scope() -> tuple[Role, tuple[str, ...] | None]:
    role, scope = request.form.get("role", ""), request.form.get("scope", "")
    named = tuple(request.form.get("shortcodes", "").replace(",", " ").split())
    wrong = [] if role in list(Role) else ["choose a role"]
    if scope not in ("every", "some"):
        wrong.append("choose whether he may see every shortcode, or some")
    if scope == "some" and not named:
        wrong.append("name the shortcodes that he may see")
    if wrong:
        raise RequestRefused(wrong)
    return Role(role), None if scope == "every" else named


def _linked(name: str, path: str) -> str:
    return render_template("linked.html", name=name, link=desk().settings.url + path, hours=LASTS_HOURS)


def _back(name: str) -> Response:
    return redirect(url_for("people.page", name=name))
