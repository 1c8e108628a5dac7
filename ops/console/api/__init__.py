"""The JSON API under the same roles, with tokens; its description is made from what its views say."""

from flask import Flask
from flask_smorest import Api
from flask_wtf.csrf import CSRFProtect

from ops.console.api.schemas import Refusal
from ops.console.api.views import blueprint

_DESCRIPTION = """\
Ask for M-PESA account balances, and read what is known. Send an API token with each call:
`Authorization: Bearer ...`. A token may do what its user may, and sees the shortcodes that its user sees.
Amounts are decimal strings, in units of their currency; instants are ISO 8601 with zone.
Whatever is refused is told as JSON: `status`, and `violations`, a sentence each.
Every look at amounts is in the audit trail.
"""

_TOKEN = "Made by `mpesa-balance users token`, or by its user in the console; shown once."  # noqa: S105 - no secret


class _Api(Api):  # type: ignore[misc]
    """flask-smorest's, which tells of refusals in our form, and describes only what there is."""

    ERROR_SCHEMA = Refusal
    # Every status that a call may have is described with it.
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_pagination_header(self) -> None:
        """Its way of paging is not ours."""


def register(app: Flask, protection: CSRFProtect) -> None:
    """Give the application the API, which knows no cookie and so needs no protection of forms."""
    scheme = {"type": "http", "scheme": "bearer", "description": _TOKEN}
    app.config.update(
        API_TITLE="mpesa-balance",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "info": {"description": _DESCRIPTION},
            "security": [{"token": []}],
            "components": {"securitySchemes": {"token": scheme}},
        },
    )
    protection.exempt(blueprint)
    _Api(app).register_blueprint(blueprint)
