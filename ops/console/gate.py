"""Who comes in: each view says what it demands, and nobody gets to one that says nothing."""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from flask import Flask, current_app, g, redirect, request, session, url_for
from werkzeug.wrappers import Response

from mpesa_balance.errors import NotSignedIn, RequestRefused
from mpesa_balance.people import api_tokens, sessions
from mpesa_balance.people.roles import Person, Right
from ops.console.desk import desk, transaction

View = TypeVar("View", bound=Callable[..., Any])

#: What the session's cookie holds: the secret of the session in Postgres.
TOKEN: Final = "token"  # noqa: S105 - the name of a field, not a secret

#: Views of libraries, which give nothing away: files of ours, and the description of the API.
_OPEN: Final = frozenset({"static", "api-docs.openapi_json"})

#: What only programs ask for.
_OF_PROGRAMS: Final = ("text/event-stream", "application/json")

_DEMANDS: Final = "demands"
_FOLLOWS: Final = "follows"
_TAKES_FILES: Final = "takes_files"

#: What may be sent at most, in bytes: a form or a call; and, by who may, a statement of a busy month.
LARGEST_FORM: Final = 256 * 1024
LARGEST_FILE: Final = 20 * 1024 * 1024


def anybody(view: View) -> View:
    """A view for everybody, signed in or not."""
    setattr(view, _DEMANDS, None)
    return view


def takes_files(view: View) -> View:
    """A view whose form may bring a file."""
    setattr(view, _TAKES_FILES, True)
    return view


def demands(right: Right, *, follows: bool = False) -> Callable[[View], View]:
    """A view for those whose role has this right; what it does for a shortcode it asks about itself.

    follows: called by a page that follows what changes, which keeps no session open.
    """

    def marked(view: View) -> View:
        setattr(view, _DEMANDS, right)
        setattr(view, _FOLLOWS, follows)
        return view

    return marked


def keep(app: Flask) -> None:
    """Let nobody pass who may not."""

    def identify() -> Response | None:
        g.person, g.actor = None, ""
        if request.endpoint is None:
            return None
        view = current_app.view_functions[request.endpoint]
        if getattr(view, _TAKES_FILES, False) and request.mimetype == "multipart/form-data":
            request.max_content_length = LARGEST_FILE
        # A view that demands nothing in so many words is for nobody: this raises AttributeError.
        right = None if request.endpoint in _OPEN else cast("Right | None", getattr(view, _DEMANDS))
        if is_api():
            g.person, g.actor = _bearer() if right else (None, "")
        else:
            g.person = _signed_in(by_himself=not getattr(view, _FOLLOWS, False))
            g.actor = f"console:{g.person.name}" if g.person else ""
        if right is not None and g.person is None:
            return _to_sign_in()
        if right is not None:
            g.person.demand(right)
        return None

    app.before_request(identify)


def refuse_nul(app: Flask) -> None:
    """No text of ours has a NUL in it, and Postgres takes none. The API says it of each field by name."""

    def look() -> None:
        if request.endpoint is None or is_api():
            return
        if any("\0" in text for text in (request.path, *request.args.values(), *request.form.values())):
            raise RequestRefused(["a NUL stands in what was sent: send the text without it"])

    app.before_request(look)


def is_api() -> bool:
    """Whether a program asks, which shows a token, rather than a browser with its cookie."""
    return request.path.startswith("/api/")


def _bearer() -> tuple[Person, str]:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() != "bearer" or not token:
        raise NotSignedIn(
            "send an API token, Authorization: Bearer ...: `mpesa-balance users token` makes one"
        )
    with transaction() as connection:
        bearer = api_tokens.bearer_of(connection, token.strip())
    if bearer is None:
        raise NotSignedIn("this API token is unknown, over or revoked, or its user disabled: make another")
    return bearer.person, f"api:{bearer.person.name} ({bearer.label})"


def _signed_in(*, by_himself: bool) -> Person | None:
    token = session.get(TOKEN)
    if not token:
        return None
    with transaction() as connection:
        return sessions.person_of(connection, token, by_himself=by_himself)


def still_in() -> Callable[[], Person | None]:
    """Who the session of this request is for, whenever that is asked later; None once it is over."""
    database, token = desk().database, session.get(TOKEN, "")

    def look() -> Person | None:
        with database.transaction() as connection:
            return sessions.person_of(connection, token, by_himself=False)

    return look


def _to_sign_in() -> Response:
    if request.headers.get("HX-Request"):
        # Only a part of a page was asked for: the whole of it goes to the door.
        return Response(status=401, headers={"HX-Redirect": url_for("signing.sign_in")})
    # What a page's own programs fetch leads to no page to come back to.
    if request.method != "GET" or request.accept_mimetypes.best in _OF_PROGRAMS:
        raise NotSignedIn("your session is over: sign in and do it again")
    return redirect(url_for("signing.sign_in", next=request.full_path.rstrip("?")))


def is_way_back(path: str) -> bool:
    """Whether a path, as a stranger may have written it, leads to a page of ours."""
    return path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
