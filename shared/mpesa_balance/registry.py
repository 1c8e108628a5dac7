"""Whom we ask for: Daraja apps and the shortcodes that they may query, with their credentials."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from mpesa_balance.callback_urls import base_url_violations
from mpesa_balance.contract import check_shortcode
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.sealing import Sealer

_APP_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)

SANDBOX: Final = "sandbox"
PRODUCTION: Final = "production"

#: Daraja's hosts (Account Balance page, "Environments").
BASE_URLS: Final = {
    SANDBOX: "https://sandbox.safaricom.co.ke",
    PRODUCTION: "https://api.safaricom.co.ke",
}

#: What PartyA is: an MSISDN, a till or an organisation shortcode (Daraja's IdentifierType).
IDENTIFIER_TYPES: Final = {1: "MSISDN", 2: "till", 4: "shortcode"}

PASSWORD: Final = "password"  # noqa: S105 - the name of a kind, not a secret
SECURITY_CREDENTIAL: Final = "security_credential"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A Daraja app. `certificate` is PEM or DER; None means the environment's own."""

    name: str
    environment: str
    base_url: str
    certificate: bytes | None = field(default=None, repr=False)
    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)

    @property
    def is_production(self) -> bool:
        """Whether real money stands behind it."""
        return self.environment == PRODUCTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcode:
    """A shortcode, till or MSISDN that may be asked for, and who asks in its name."""

    shortcode: str
    app: str
    identifier_type: int
    initiator: str
    credential_kind: str
    credential: str = field(repr=False)
    credential_set_at: datetime | None = None
    suspended_at: datetime | None = None
    suspended_because: str | None = None


def add_app(connection: Connection, sealer: Sealer, app: App, *, replace: bool = False) -> None:
    """Register an app. Raises RequestRefused with everything that is wrong with it."""
    scheme = urlsplit(app.base_url).scheme
    wrong = []
    if not _APP_NAME.fullmatch(app.name):
        wrong.append("an app's name must be 1 to 63 lowercase letters, digits and hyphens")
    if scheme not in ("http", "https"):
        wrong.append(f"the base URL {app.base_url!r} must start with https://")
    if app.is_production and scheme == "http":
        wrong.append("a production app must use https://")
    if wrong:
        raise RequestRefused(wrong)
    row = {
        "name": app.name,
        "environment": app.environment,
        "base_url": app.base_url.rstrip("/"),
        "certificate": app.certificate,
        "key": sealer.seal_text(app.consumer_key, _place(app.name, "consumer_key")),
        "secret": sealer.seal_text(app.consumer_secret, _place(app.name, "consumer_secret")),
    }
    added = connection.execute(_REPLACE_APP if replace else _ADD_APP, row)
    if not added.rowcount:
        raise RequestRefused([f"app {app.name!r} is registered already: --replace changes it"])


def apps(connection: Connection, sealer: Sealer) -> list[App]:
    """All apps, by name, their credentials opened."""
    return [_app(row, sealer) for row in connection.execute(_APPS, {"name": None})]


def app_named(connection: Connection, sealer: Sealer, name: str) -> App:
    """One app. Raises NotFound."""
    row = connection.execute(_APPS, {"name": name}).fetchone()
    if row is None:
        raise NotFound(f"app {name!r} is not registered: add it with `mpesa-balance apps add {name}`")
    return _app(row, sealer)


def add_shortcode(
    connection: Connection, sealer: Sealer, entry: Shortcode, *, replace: bool = False
) -> None:
    """Register a shortcode under an app that exists. Raises NotFound or RequestRefused."""
    if problem := check_shortcode(entry.shortcode):
        raise RequestRefused([problem])
    app_named(connection, sealer, entry.app)
    row = {
        "shortcode": entry.shortcode,
        "app": entry.app,
        "identifier_type": entry.identifier_type,
        "initiator": entry.initiator,
        "kind": entry.credential_kind,
        "credential": sealer.seal_text(entry.credential, _credential_place(entry.shortcode)),
    }
    added = connection.execute(_REPLACE_SHORTCODE if replace else _ADD_SHORTCODE, row)
    if not added.rowcount:
        raise RequestRefused([f"shortcode {entry.shortcode} is registered already: --replace changes it"])


def shortcodes(connection: Connection, sealer: Sealer) -> list[Shortcode]:
    """All shortcodes, in order, their credentials opened."""
    return [_shortcode(row, sealer) for row in connection.execute(_SHORTCODES, {"shortcode": None})]


def shortcode_named(connection: Connection, sealer: Sealer, shortcode: str) -> Shortcode:
    """One shortcode. Raises NotFound."""
    row = connection.execute(_SHORTCODES, {"shortcode": shortcode}).fetchone()
    if row is None:
        raise NotFound(_unregistered(shortcode))
    return _shortcode(row, sealer)


def refusals(connection: Connection, shortcode: str, callback_base_url: str | None) -> list[str]:
    """Why this shortcode may not be asked for now, a sentence each; nothing where it may.

    Where the callback address is known, what Daraja would refuse about it is among them.
    """
    row = connection.execute(_ASKABLE, {"shortcode": shortcode}).fetchone()
    if row is None:
        return [_unregistered(shortcode)]
    wrong = []
    if row["suspended_because"] is not None:
        wrong.append(
            f"shortcode {shortcode} is suspended ({row['suspended_because']}): "
            f"`mpesa-balance shortcodes resume {shortcode}` once that is mended"
        )
    if callback_base_url is not None:
        production = row["environment"] == PRODUCTION
        wrong += base_url_violations(callback_base_url, production=production)
    return wrong


def suspend(connection: Connection, shortcode: str, because: str) -> None:
    """Stop every submission for a shortcode, asked or scheduled. Raises NotFound."""
    _change(connection, _SUSPEND, {"shortcode": shortcode, "because": because})


def resume(connection: Connection, shortcode: str) -> None:
    """Let submissions go on. Raises NotFound."""
    _change(connection, _RESUME, {"shortcode": shortcode})


def _change(connection: Connection, statement: str, row: dict[str, str]) -> None:
    if not connection.execute(statement, row).rowcount:
        raise NotFound(_unregistered(row["shortcode"]))


def _unregistered(shortcode: str) -> str:
    return (
        f"shortcode {shortcode} is not registered: add it with `mpesa-balance shortcodes add {shortcode}`"
    )


def _app(row: dict[str, object], sealer: Sealer) -> App:
    name = str(row["name"])
    opened = {
        column: sealer.open_text(_bytes(row[column]), _place(name, column))
        for column in ("consumer_key", "consumer_secret")
    }
    return App(**(row | opened))  # type: ignore[arg-type]


def _shortcode(row: dict[str, object], sealer: Sealer) -> Shortcode:
    place = _credential_place(str(row["shortcode"]))
    credential = sealer.open_text(_bytes(row["credential"]), place)
    return Shortcode(**(row | {"credential": credential}))  # type: ignore[arg-type]


def _bytes(value: object) -> bytes:
    return bytes(value)  # type: ignore[call-overload, no-any-return]


def _place(app: str, column: str) -> str:
    return f"daraja_apps/{app}/{column}"


def _credential_place(shortcode: str) -> str:
    return f"shortcodes/{shortcode}/credential"


_ADD_APP: Final = """
    INSERT INTO daraja_apps (name, environment, base_url, certificate, consumer_key, consumer_secret)
    VALUES (%(name)s, %(environment)s, %(base_url)s, %(certificate)s, %(key)s, %(secret)s)
    ON CONFLICT (name) DO NOTHING
"""

_REPLACE_APP: Final = """
    INSERT INTO daraja_apps (name, environment, base_url, certificate, consumer_key, consumer_secret)
    VALUES (%(name)s, %(environment)s, %(base_url)s, %(certificate)s, %(key)s, %(secret)s)
    ON CONFLICT (name) DO UPDATE SET
        environment = excluded.environment, base_url = excluded.base_url,
        certificate = excluded.certificate, consumer_key = excluded.consumer_key,
        consumer_secret = excluded.consumer_secret
"""

_APPS: Final = """
    SELECT name, environment, base_url, certificate, consumer_key, consumer_secret
    FROM daraja_apps WHERE name = coalesce(%(name)s, name) ORDER BY name
"""

_ADD_SHORTCODE: Final = """
    INSERT INTO shortcodes (shortcode, app, identifier_type, initiator, credential_kind, credential)
    VALUES (%(shortcode)s, %(app)s, %(identifier_type)s, %(initiator)s, %(kind)s, %(credential)s)
    ON CONFLICT (shortcode) DO NOTHING
"""

_REPLACE_SHORTCODE: Final = """
    INSERT INTO shortcodes (shortcode, app, identifier_type, initiator, credential_kind, credential)
    VALUES (%(shortcode)s, %(app)s, %(identifier_type)s, %(initiator)s, %(kind)s, %(credential)s)
    ON CONFLICT (shortcode) DO UPDATE SET
        app = excluded.app, identifier_type = excluded.identifier_type,
        initiator = excluded.initiator, credential_kind = excluded.credential_kind,
        credential = excluded.credential, credential_set_at = now()
"""

_SHORTCODES: Final = """
    SELECT shortcode, app, identifier_type, initiator, credential_kind, credential,
           credential_set_at, suspended_at, suspended_because
    FROM shortcodes WHERE shortcode = coalesce(%(shortcode)s, shortcode) ORDER BY shortcode
"""

_ASKABLE: Final = """
    SELECT s.suspended_because, a.environment
    FROM shortcodes s JOIN daraja_apps a ON a.name = s.app WHERE s.shortcode = %(shortcode)s
"""

_SUSPEND: Final = """
    UPDATE shortcodes SET suspended_at = coalesce(suspended_at, now()), suspended_because = %(because)s
    WHERE shortcode = %(shortcode)s
"""

_RESUME: Final = """
    UPDATE shortcodes SET suspended_at = NULL, suspended_because = NULL WHERE shortcode = %(shortcode)s
"""
