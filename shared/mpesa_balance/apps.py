"""The Daraja apps that we hold credentials of."""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from mpesa_balance.certificates import public_key
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


#: Spike arrest has been met at five requests in a second and more.
DEFAULT_RATE: Final = Decimal(5)
_RATES: Final = (Decimal("0.001"), Decimal(1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A Daraja app.

    certificate: PEM or DER; None means the environment's own.
    requests_per_second: what Daraja lets this app send, all workers together.
    """

    name: str
    environment: str
    base_url: str
    certificate: bytes | None = field(default=None, repr=False)
    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    requests_per_second: Decimal = DEFAULT_RATE

    @property
    def is_production(self) -> bool:
        """Whether real money stands behind it."""
        return self.environment == PRODUCTION


def add(connection: Connection, sealer: Sealer, app: App, *, replace: bool = False) -> bool:
    """Register an app; False where it took the place of another one of its name.

    Raises RequestRefused with everything that is wrong with it.
    """
    wrong = _address_violations(app)
    if not _APP_NAME.fullmatch(app.name):
        wrong.append("an app's name must be 1 to 63 lowercase letters, digits and hyphens")
    for what, secret in (("key", app.consumer_key), ("secret", app.consumer_secret)):
        if not (secret.isascii() and secret.isprintable()):
            wrong.append(f"the consumer {what} must be plain ASCII: copy it from the Daraja portal again")
    rate = app.requests_per_second
    if not (rate.is_finite() and _RATES[0] <= rate <= _RATES[1]):
        wrong.append(f"requests per second must be from {_RATES[0]} to {_RATES[1]}")
    if wrong:
        raise RequestRefused(wrong)
    if app.certificate is not None:
        public_key(app.certificate)
    row = {
        "name": app.name,
        "environment": app.environment,
        "base_url": app.base_url.rstrip("/"),
        "certificate": app.certificate,
        "key": sealer.seal_text(app.consumer_key, credential_place(app.name, "consumer_key")),
        "secret": sealer.seal_text(app.consumer_secret, credential_place(app.name, "consumer_secret")),
        "rate": app.requests_per_second,
    }
    added = connection.execute(_REPLACE if replace else _ADD, row).fetchone()
    if added is None:
        raise RequestRefused([f"app {app.name!r} is registered already: --replace changes it"])
    return bool(added["is_new"])


def _address_violations(app: App) -> list[str]:
    try:
        parts = urlsplit(app.base_url)
        is_address = bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:
        return ["the base URL cannot be read: write it as https://host"]
    if not is_address or parts.username or parts.query or parts.fragment:
        return ["the base URL must be https:// and a host, without a name, a password or a query"]
    if app.is_production and parts.scheme == "http":
        return ["a production app must use https://"]
    return []


def rate_of(connection: Connection, name: str) -> Decimal:
    """The rate at which an app is registered; the usual one where it is not."""
    row = connection.execute(_RATE, {"name": name}).fetchone()
    return row["requests_per_second"] if row else DEFAULT_RATE


def every(connection: Connection, sealer: Sealer) -> list[App]:
    """All apps, by name, their credentials opened."""
    return [_app(row, sealer) for row in connection.execute(_APPS, {"name": None})]


def named(connection: Connection, sealer: Sealer, name: str) -> App:
    """One app. Raises NotFound."""
    row = connection.execute(_APPS, {"name": name}).fetchone()
    if row is None:
        raise NotFound(f"app {name!r} is not registered: add it with `mpesa-balance apps add {name}`")
    return _app(row, sealer)


def held(connection: Connection, sealer: Sealer, name: str) -> App:
    """One app, which nobody else changes or gives slots of until this transaction ends. Raises NotFound."""
    connection.execute(_HOLD, {"name": name})
    return named(connection, sealer, name)


def _app(row: dict[str, Any], sealer: Sealer) -> App:
    opened = {
        column: sealer.open_text(row[column], credential_place(row["name"], column))
        for column in ("consumer_key", "consumer_secret")
    }
    return App(**(row | opened))


def credential_place(app: str, column: str) -> str:
    """What an app's consumer key or secret, named by its column, is sealed for."""
    return f"daraja_apps/{app}/{column}"


_ADD: Final = """
    INSERT INTO daraja_apps
        (name, environment, base_url, certificate, consumer_key, consumer_secret, requests_per_second)
    VALUES (%(name)s, %(environment)s, %(base_url)s, %(certificate)s, %(key)s, %(secret)s, %(rate)s)
    ON CONFLICT (name) DO NOTHING
    RETURNING true AS is_new
"""

_REPLACE: Final = """
    INSERT INTO daraja_apps
        (name, environment, base_url, certificate, consumer_key, consumer_secret, requests_per_second)
    VALUES (%(name)s, %(environment)s, %(base_url)s, %(certificate)s, %(key)s, %(secret)s, %(rate)s)
    ON CONFLICT (name) DO UPDATE SET
        environment = excluded.environment, base_url = excluded.base_url,
        certificate = excluded.certificate, consumer_key = excluded.consumer_key,
        consumer_secret = excluded.consumer_secret, requests_per_second = excluded.requests_per_second,
        -- A rate that was wrong has put the next slot in the wrong place.
        next_slot_at = CASE daraja_apps.requests_per_second WHEN excluded.requests_per_second
                       THEN daraja_apps.next_slot_at ELSE '-infinity' END
    -- It looks at what was there when the statement began.
    RETURNING NOT EXISTS (SELECT FROM daraja_apps a WHERE a.name = %(name)s) AS is_new
"""

_RATE: Final = "SELECT requests_per_second FROM daraja_apps WHERE name = %(name)s"

_HOLD: Final = "SELECT FROM daraja_apps WHERE name = %(name)s FOR NO KEY UPDATE"

_APPS: Final = """
    SELECT name, environment, base_url, certificate, consumer_key, consumer_secret, requests_per_second
    FROM daraja_apps WHERE name = coalesce(%(name)s, name) ORDER BY name
"""
