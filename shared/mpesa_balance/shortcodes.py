"""The shortcodes, tills and MSISDNs that may be asked for, and who asks in their name."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mpesa_balance import apps
from mpesa_balance.callback_urls import base_url_violations
from mpesa_balance.daraja_request import check_initiator, check_party, check_security_credential
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound, RequestRefused, SealBroken
from mpesa_balance.sealing import Sealer

PASSWORD: Final = "password"  # noqa: S105 - the name of a kind, not a secret
SECURITY_CREDENTIAL: Final = "security_credential"

#: What RSA with a 2048-bit key and PKCS#1 v1.5 padding can encrypt, in bytes.
LONGEST_PASSWORD: Final = 245


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
    #: By the database clock. The password behind it may be older: this is the least.
    password_age_days: int | None = None
    suspended_at: datetime | None = None
    suspended_because: str | None = None


def add(connection: Connection, sealer: Sealer, entry: Shortcode, *, replace: bool = False) -> bool:
    """Register a shortcode under an app that exists; False where it was registered before.

    Raises NotFound or RequestRefused.
    """
    found = (
        check_party(entry.shortcode, entry.identifier_type),
        _check_credential(entry),
        check_initiator(entry.initiator),
    )
    if wrong := [problem for problem in found if problem]:
        raise RequestRefused(wrong)
    apps.named(connection, sealer, entry.app)
    row = {
        "shortcode": entry.shortcode,
        "app": entry.app,
        "identifier_type": entry.identifier_type,
        "initiator": entry.initiator,
        "kind": entry.credential_kind,
        "credential": sealer.seal_text(entry.credential, credential_place(entry.shortcode)),
    }
    added = connection.execute(_REPLACE if replace else _ADD, row).fetchone()
    if added is None:
        raise RequestRefused([f"shortcode {entry.shortcode} is registered already: --replace changes it"])
    return bool(added["is_new"])


def _check_credential(entry: Shortcode) -> str | None:
    if entry.credential_kind == SECURITY_CREDENTIAL:
        return check_security_credential(entry.credential)
    if len(entry.credential.encode()) > LONGEST_PASSWORD:
        return f"the initiator's password must be at most {LONGEST_PASSWORD} bytes long"
    return None


def every(connection: Connection, sealer: Sealer) -> list[Shortcode]:
    """All shortcodes, in order, their credentials opened."""
    return [_shortcode(row, sealer) for row in connection.execute(_SHORTCODES, {"shortcode": None})]


def named(connection: Connection, sealer: Sealer, shortcode: str) -> Shortcode:
    """One shortcode. Raises NotFound."""
    row = connection.execute(_SHORTCODES, {"shortcode": shortcode}).fetchone()
    if row is None:
        raise NotFound(unregistered(shortcode))
    return _shortcode(row, sealer)


def held(
    connection: Connection, sealer: Sealer, shortcodes: Collection[str]
) -> dict[str, Shortcode | SealBroken]:
    """These shortcodes as they stay until this transaction ends, each by its own name.

    A credential that somebody is replacing is waited for: a refusal must be of the one that was sent.
    One that does not open is a value and no error: it must not hold up the others.
    """
    rows = connection.execute(_HELD, {"shortcodes": sorted(shortcodes)})
    return {row["shortcode"]: _shortcode_or_why_not(row, sealer) for row in rows}


def _shortcode_or_why_not(row: dict[str, Any], sealer: Sealer) -> Shortcode | SealBroken:
    try:
        return _shortcode(row, sealer)
    except SealBroken as broken:
        return broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Askable:
    """A shortcode that is registered, and what may be in the way of asking for it."""

    shortcode: str
    app: str
    environment: str
    suspended_because: str | None

    def refusals(self, callback_base_url: str | None) -> list[str]:
        """Why this shortcode may not be asked for now, a sentence each; nothing where it may.

        Where the callback address is known, what Daraja would refuse about it is among them.
        """
        wrong = []
        if self.suspended_because is not None:
            wrong.append(
                f"shortcode {self.shortcode} is suspended ({self.suspended_because}): "
                f"`mpesa-balance shortcodes resume {self.shortcode}` once that is mended"
            )
        if callback_base_url is not None:
            production = self.environment == apps.PRODUCTION
            wrong += base_url_violations(callback_base_url, production=production)
        return wrong


def askable(connection: Connection, shortcode: str, *, gate: bool = False) -> Askable | None:
    """A shortcode as it stands; None where nobody has registered it.

    gate: wait until nobody else answers a request for it, and keep others waiting. Without that, two
    that ask at once would both find nothing in flight.
    """
    row = connection.execute(_ASKABLE_AT_GATE if gate else _ASKABLE, {"shortcode": shortcode}).fetchone()
    return Askable(**row) if row else None


def unregistered(shortcode: str) -> str:
    """What is said of a shortcode that nobody has registered."""
    return (
        f"shortcode {shortcode} is not registered: add it with `mpesa-balance shortcodes add {shortcode}`"
    )


def _shortcode(row: dict[str, Any], sealer: Sealer) -> Shortcode:
    credential = sealer.open_text(row["credential"], credential_place(row["shortcode"]))
    return Shortcode(**(row | {"credential": credential}))


def credential_place(shortcode: str) -> str:
    """What a shortcode's credential is sealed for."""
    return f"shortcodes/{shortcode}/credential"


_ADD: Final = """
    INSERT INTO shortcodes (shortcode, app, identifier_type, initiator, credential_kind, credential)
    VALUES (%(shortcode)s, %(app)s, %(identifier_type)s, %(initiator)s, %(kind)s, %(credential)s)
    ON CONFLICT (shortcode) DO NOTHING
    RETURNING true AS is_new
"""

_REPLACE: Final = """
    INSERT INTO shortcodes (shortcode, app, identifier_type, initiator, credential_kind, credential)
    VALUES (%(shortcode)s, %(app)s, %(identifier_type)s, %(initiator)s, %(kind)s, %(credential)s)
    ON CONFLICT (shortcode) DO UPDATE SET
        app = excluded.app, identifier_type = excluded.identifier_type,
        initiator = excluded.initiator, credential_kind = excluded.credential_kind,
        credential = excluded.credential, credential_set_at = clock_timestamp(), password_told = NULL
    -- It looks at what was there when the statement began.
    RETURNING NOT EXISTS (SELECT FROM shortcodes s WHERE s.shortcode = %(shortcode)s) AS is_new
"""

_ENTRIES: Final = """
    SELECT shortcode, app, identifier_type, initiator, credential_kind, credential,
           credential_set_at, extract(day FROM now() - credential_set_at)::int AS password_age_days,
           suspended_at, suspended_because
    FROM shortcodes
"""

_SHORTCODES: Final = f"{_ENTRIES} WHERE shortcode = coalesce(%(shortcode)s, shortcode) ORDER BY shortcode"

#: In one order everywhere: two that hold several must not wait for each other.
_HELD: Final = f"{_ENTRIES} WHERE shortcode = ANY(%(shortcodes)s) ORDER BY shortcode FOR SHARE"

_ASKABLE: Final = """
    SELECT s.shortcode, s.app, a.environment, s.suspended_because
    FROM shortcodes s JOIN daraja_apps a ON a.name = s.app WHERE s.shortcode = %(shortcode)s
"""

_ASKABLE_AT_GATE: Final = f"{_ASKABLE} FOR NO KEY UPDATE OF s"
