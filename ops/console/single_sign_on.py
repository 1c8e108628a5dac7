"""Single sign-on: OpenID Connect with PKCE by Authlib, for whoever has a provider."""

from typing import Any, Final, cast

from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, current_app, url_for
from joserfc.errors import JoseError
from requests import RequestException
from werkzeug.wrappers import Response

from mpesa_balance import logs
from mpesa_balance.errors import NotSignedIn, Unavailable
from mpesa_balance.people import signing_in
from mpesa_balance.settings import OidcSettings
from ops.console.desk import desk, transaction
from ops.console.entrance import welcome

logger = logs.get_logger(__name__)

_PROVIDER: Final = "provider"

#: How long the provider may take for an answer, in seconds.
_PATIENCE: Final = 10


def register(app: Flask, settings: OidcSettings | None) -> None:
    """Make the provider known, where there is one."""
    if settings is None:
        return
    OAuth(app).register(
        _PROVIDER,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email profile",
            # A code that was stolen on its way is worth nothing to the thief.
            "code_challenge_method": "S256",
            "default_timeout": _PATIENCE,
        },
    )


def is_offered() -> bool:
    """Whether people can sign in so."""
    return desk().settings.oidc is not None


def begin() -> Response:
    """Send the browser to the provider. Raises Unavailable."""
    back = desk().settings.url + url_for("signing.single_sign_on_return")
    try:
        return cast("Response", _provider().authorize_redirect(back))
    except RequestException as error:
        raise _away(error) from error


def finish() -> Response:
    """Let in whom the provider has sent back. Raises NotSignedIn or Unavailable."""
    try:
        token = _provider().authorize_access_token()
    # JoseError: the provider's word about who it is was not signed by it, or not for this sign-in.
    except (OAuthError, JoseError) as error:
        raise _refused(error.error) from error
    except RequestException as error:
        raise _away(error) from error
    # What is no answer of a provider at all: no JSON, or JSON of another shape.
    except (TypeError, ValueError, AttributeError) as error:
        raise _refused(type(error).__name__) from error
    if "userinfo" not in token:
        raise _refused("no id_token")
    name, subject = _identity(token["userinfo"])
    with transaction() as connection:
        user = signing_in.by_single_sign_on(connection, name, subject)
    return welcome(user, "single sign-on")


def _provider() -> Any:
    if not is_offered():
        raise NotSignedIn("single sign-on is not set up here: sign in with your password")
    return current_app.extensions["authlib.integrations.flask_client"].create_client(_PROVIDER)


def _identity(claims: dict[str, Any]) -> tuple[str, str]:
    """The name of the user, and whom the provider means for ever."""
    settings = cast("OidcSettings", desk().settings.oidc)
    name = claims.get(settings.name_claim)
    if not isinstance(name, str) or not name:
        raise NotSignedIn(f"the provider does not say who you are: it sends no {settings.name_claim}")
    # An address that nobody has verified is a claim of whoever typed it.
    if settings.name_claim == "email" and claims.get("email_verified") is not True:
        raise NotSignedIn("the provider has not verified your e-mail address: verify it there first")
    subject = claims.get("sub")
    if not (isinstance(subject, str) and subject.isprintable() and subject):
        raise _refused("no subject")
    return name, f"{claims['iss']} {subject}"


def _refused(reason: str) -> NotSignedIn:
    logger.warning("single_sign_on_refused", reason=reason)
    return NotSignedIn(
        "single sign-on did not work: begin again from the page to sign in, or tell an operator"
    )


def _away(error: RequestException) -> Unavailable:
    logger.error("single_sign_on_away", reason=type(error).__name__)
    return Unavailable("the provider of single sign-on does not answer: try again, or use your password")
