"""Signing in and out, the one-time link, and whether the console is well."""

from typing import Final

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from mpesa_balance import audit, logs
from mpesa_balance.audit import Action
from mpesa_balance.errors import NotSignedIn, RequestRefused
from mpesa_balance.people import links, password_hashes, signing_in, users
from mpesa_balance.people.administration import WELCOME
from mpesa_balance.people.roles import Right
from ops.console import entrance, single_sign_on
from ops.console.desk import desk, person, transaction
from ops.console.gate import anybody, demands
from ops.console.refusals import status_of, violations_of

blueprint = Blueprint("signing", __name__)

logger = logs.get_logger(__name__)

_SHORTEST: Final = password_hashes.SHORTEST


@blueprint.get("/sign-in")
@anybody
def sign_in() -> str:
    """The form."""
    entrance.remember(request.args.get("next"))
    return _form()


@blueprint.post("/sign-in")
@anybody
def signed_in() -> Response:
    """Let somebody in by his password."""
    name, password = request.form.get("name", ""), request.form.get("password", "")
    try:
        user = signing_in.by_password(desk().database, name, password, request.remote_addr or "unknown")
    except NotSignedIn as error:
        # Not the name: people type a password there, too.
        logger.warning("sign_in_refused", address=request.remote_addr, status=status_of(error))
        return Response(_form(str(error), name), status_of(error), content_type="text/html")
    return entrance.welcome(user, "password")


@blueprint.get("/sign-in/single")
@anybody
def single_sign_on_begin() -> Response:
    """To the provider of single sign-on."""
    return single_sign_on.begin()


@blueprint.get("/sign-in/single/return")
@anybody
def single_sign_on_return() -> Response:
    """Back from there."""
    return single_sign_on.finish()


@blueprint.post("/sign-out")
@demands(Right.LOOK)
def sign_out() -> Response:
    """Let this browser in no more."""
    return entrance.leave(person().name)


@blueprint.get(f"{WELCOME}<link>")
@anybody
def invited(link: str) -> str:
    """The form for a password. Looking at it leaves the link good: mail programs look at links."""
    with transaction() as connection:
        return _password_form(links.whose(connection, link))


@blueprint.post(f"{WELCOME}<link>")
@anybody
def joined(link: str) -> Response:
    """Set the password, and let him in."""
    with transaction() as connection:
        name = links.whose(connection, link)
    try:
        hashed = password_hashes.hashed(chosen_password(), name)
    except RequestRefused as error:
        shown = _password_form(name, violations_of(error))
        return Response(shown, status_of(error), content_type="text/html")
    with transaction() as connection:
        user = links.use(connection, link, hashed)
        audit.add(connection, f"console:{user}", Action.PASSWORD_SET, user, "by a one-time link")
    return entrance.welcome(user, "one-time link")


@blueprint.get("/health/live")
@anybody
def live() -> tuple[str, int]:
    """Whether this process answers."""
    return "live\n", 200


@blueprint.get("/health/ready")
@anybody
def ready() -> tuple[str, int]:
    """Whether it reaches Postgres. Raises DatabaseUnavailable."""
    with transaction() as connection:
        users.any_yet(connection)
    return "ready\n", 200


def chosen_password() -> str:
    """What somebody typed twice. Raises RequestRefused where it was not the same."""
    password = request.form.get("password", "")
    if password != request.form.get("again", ""):
        raise RequestRefused(["the two passwords differ: type the same one twice"])
    return password


def _form(refusal: str = "", name: str = "") -> str:
    offered = single_sign_on.is_offered()
    return render_template("sign_in.html", refusal=refusal, name=name, single_sign_on=offered)


def _password_form(name: str, refusals: tuple[str, ...] = ()) -> str:
    return render_template("welcome.html", name=name, refusals=refusals, shortest=_SHORTEST)
