"""The shortcodes, tills and MSISDNs that may be asked for, and who asks in their name."""

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from mpesa_balance import apps
from mpesa_balance.callback_urls import base_url_violations
from mpesa_balance.contract import check_shortcode
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.sealing import Sealer

#: What PartyA is: an MSISDN, a till or an organisation shortcode (Daraja's IdentifierType).
IDENTIFIER_TYPES: Final = {1: "MSISDN", 2: "till", 4: "shortcode"}

PASSWORD: Final = "password"  # noqa: S105 - the name of a kind, not a secret
SECURITY_CREDENTIAL: Final = "security_credential"

#: What a 1024-bit key, the shortest that anybody has used, makes of a password, in bytes.
_SHORTEST_CREDENTIAL: Final = 128

#: What RSA with a 2048-bit key and PKCS#1 v1.5 padding can encrypt, in bytes.
LONGEST_PASSWORD: Final = 245

#: An API operator's password is good for 90 days (Daraja's FAQ, "Set the API User's Password"); two
#: weeks before that is early enough to have a Business Manager set another.
PASSWORD_LIFETIME_DAYS: Final = 90
PASSWORD_WARNING_DAYS: Final = 76


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


def add(connection: Connection, sealer: Sealer, entry: Shortcode, *, replace: bool = False) -> None:
    """Register a shortcode under an app that exists. Raises NotFound or RequestRefused."""
    wrong = [problem] if (problem := check_shortcode(entry.shortcode)) else []
    if entry.credential_kind == PASSWORD and len(entry.credential.encode()) > LONGEST_PASSWORD:
        wrong.append(f"the initiator's password must be at most {LONGEST_PASSWORD} bytes long")
    if not (entry.initiator.isprintable() and 0 < len(entry.initiator.strip()) <= 100):
        wrong.append("the initiator must be 1 to 100 printable characters, as on the M-PESA portal")
    if entry.credential_kind == SECURITY_CREDENTIAL and not _is_base64(entry.credential):
        wrong.append("the security credential must be the base64 that the Daraja portal shows")
    if wrong:
        raise RequestRefused(wrong)
    apps.named(connection, sealer, entry.app)
    row = {
        "shortcode": entry.shortcode,
        "app": entry.app,
        "identifier_type": entry.identifier_type,
        "initiator": entry.initiator,
        "kind": entry.credential_kind,
        "credential": sealer.seal_text(entry.credential, _credential_place(entry.shortcode)),
    }
    added = connection.execute(_REPLACE if replace else _ADD, row)
    if not added.rowcount:
        raise RequestRefused([f"shortcode {entry.shortcode} is registered already: --replace changes it"])


def _is_base64(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) >= _SHORTEST_CREDENTIAL
    except ValueError:
        return False


def every(connection: Connection, sealer: Sealer) -> list[Shortcode]:
    """All shortcodes, in order, their credentials opened."""
    return [_shortcode(row, sealer) for row in connection.execute(_SHORTCODES, {"shortcode": None})]


def named(connection: Connection, sealer: Sealer, shortcode: str) -> Shortcode:
    """One shortcode. Raises NotFound."""
    row = connection.execute(_SHORTCODES, {"shortcode": shortcode}).fetchone()
    if row is None:
        raise NotFound(unregistered(shortcode))
    return _shortcode(row, sealer)


def password_age(entry: Shortcode, now: datetime) -> timedelta:
    """How long ago the credential was registered, `now` by the database clock that stamped it.

    The password behind it may have been set on the M-PESA portal earlier: this is the least age. A
    ready-made security credential ages with the password in it. Nothing that is yet to be stored is old.
    """
    return now - (entry.credential_set_at or now)


def refusals(connection: Connection, shortcode: str, callback_base_url: str | None) -> list[str]:
    """Why this shortcode may not be asked for now, a sentence each; nothing where it may.

    Where the callback address is known, what Daraja would refuse about it is among them.
    """
    row = connection.execute(_ASKABLE, {"shortcode": shortcode}).fetchone()
    if row is None:
        return [unregistered(shortcode)]
    wrong = []
    if row["suspended_because"] is not None:
        wrong.append(
            f"shortcode {shortcode} is suspended ({row['suspended_because']}): "
            f"`mpesa-balance shortcodes resume {shortcode}` once that is mended"
        )
    if callback_base_url is not None:
        production = row["environment"] == apps.PRODUCTION
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
        raise NotFound(unregistered(row["shortcode"]))


def unregistered(shortcode: str) -> str:
    """What is said about a shortcode that is not registered."""
    return (
        f"shortcode {shortcode} is not registered: add it with `mpesa-balance shortcodes add {shortcode}`"
    )


def _shortcode(row: dict[str, Any], sealer: Sealer) -> Shortcode:
    credential = sealer.open_text(row["credential"], _credential_place(row["shortcode"]))
    return Shortcode(**(row | {"credential": credential}))


def _credential_place(shortcode: str) -> str:
    return f"shortcodes/{shortcode}/credential"


_ADD: Final = """
    INSERT INTO shortcodes (shortcode, app, identifier_type, initiator, credential_kind, credential)
    VALUES (%(shortcode)s, %(app)s, %(identifier_type)s, %(initiator)s, %(kind)s, %(credential)s)
    ON CONFLICT (shortcode) DO NOTHING
"""

_REPLACE: Final = """
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
