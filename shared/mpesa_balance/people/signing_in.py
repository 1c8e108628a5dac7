"""Signing in: by a password or by single sign-on, with a bound on how often anybody may guess."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final

import psycopg

from mpesa_balance.database import Connection, Database
from mpesa_balance.errors import NotSignedIn
from mpesa_balance.people import password_hashes
from mpesa_balance.people.bearers import digest
from mpesa_balance.texts import printable

#: Attempts that fail are counted for so long, in minutes.
WINDOW_MINUTES: Final = 15

#: So many may fail in that time: of one name from one address, of anybody from one address, and of one
#: name from anywhere, which is how a guesser with many addresses comes.
MOST_OF_BOTH, MOST_OF_ADDRESS, MOST_OF_NAME = 5, 20, 50

#: The same for every reason: whoever guesses learns nothing from it.
_REFUSED: Final = (
    "name and password do not belong together, or the account is disabled: try again, or ask an "
    "administrator for a link"
)

_TOO_MANY: Final = f"too many attempts have failed: wait {WINDOW_MINUTES} minutes, then try again"

#: No name is longer; what is longer is kept so far.
_LONGEST_NAME: Final = 100


class TooManyAttempts(NotSignedIn):
    """Nobody is let in from there, or under that name, for a while; the password was not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    id: int
    password_hash: str | None


def by_password(database: Database, name: str, password: str, address: str) -> str:
    """The name of the user, where the password is his. Raises NotSignedIn or TooManyAttempts.

    address: where he comes from.
    """
    name, address = _plain(name), _place(address)
    with database.transaction() as connection:
        attempt = _begin(connection, name, address)
    if attempt is None:
        raise TooManyAttempts(_TOO_MANY)
    # Outside of any transaction: it is meant to take long. Also for a name that nobody has.
    if not password_hashes.is_right(attempt.password_hash, password):
        raise NotSignedIn(_REFUSED)
    after = password_hashes.renewed(attempt.password_hash, password) or attempt.password_hash
    with database.transaction() as connection:
        row = {"name": name, "before": attempt.password_hash, "after": after}
        # Whoever was disabled while we compared, or has another password by now, comes too late.
        if not connection.execute(_STILL, row).rowcount:
            raise NotSignedIn(_REFUSED)
        connection.execute(_FORGET, {"digest": digest(name), "address": address})
    return name


def by_single_sign_on(connection: Connection, name: str, subject: str) -> str:
    """The name of the user whom the provider calls so. Raises NotSignedIn.

    subject: what the provider calls him for ever; the first one that comes with a name keeps it.
    """
    given = {"name": _plain(name), "subject": subject}
    try:
        row = connection.execute(_BY_SUBJECT, given).fetchone()
    except psycopg.errors.UniqueViolation:
        raise NotSignedIn(
            "single sign-on knew you by another name before, that of another account: ask an administrator"
        ) from None
    if row is None:
        raise NotSignedIn(
            "single sign-on knows you, and the console does not: ask an administrator to add you"
        )
    return str(row["name"])


def set_password(connection: Connection, name: str, password_hash: str) -> None:
    """Give a user another password, and end all his sessions and links."""
    connection.execute(_RENEW, {"name": name, "password_hash": password_hash})
    connection.execute("DELETE FROM sessions WHERE user_name = %(name)s", {"name": name})
    connection.execute("DELETE FROM sign_in_links WHERE user_name = %(name)s", {"name": name})


def _plain(name: str) -> str:
    """A name as accounts have them; what has other letters is nobody's, however alike they look."""
    return printable(name.strip().lower())[:_LONGEST_NAME] if name.isascii() else ""


def _place(address: str) -> str:
    """Where somebody comes from, as far as it is his alone: of IPv6 each has a network of addresses."""
    try:
        found = ip_address(address)
    except ValueError:
        return printable(address)
    if isinstance(found, IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Network((int(found), 64), strict=False))


def _begin(connection: Connection, name: str, address: str) -> _Attempt | None:
    """Count an attempt as failed, until it has succeeded; None where too many have."""
    connection.execute(_SWEEP, {"minutes": WINDOW_MINUTES})
    row = {
        "name": name,
        "digest": digest(name),
        "address": address,
        "minutes": WINDOW_MINUTES,
        "of_both": MOST_OF_BOTH,
        "of_address": MOST_OF_ADDRESS,
        "of_name": MOST_OF_NAME,
    }
    # Those who guess at once wait for each other, so that no more of them get through than may.
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('sign-in', 0))")
    begun = connection.execute(_BEGIN, row).fetchone()
    return _Attempt(**begun) if begun else None


_SWEEP: Final = "DELETE FROM sign_in_attempts WHERE tried_at < now() - make_interval(mins => %(minutes)s)"

_BEGIN: Final = """
    WITH recent AS (
        SELECT name_digest = %(digest)s AS of_name, address = %(address)s AS of_address
        FROM sign_in_attempts
        WHERE (name_digest = %(digest)s OR address = %(address)s)
          AND tried_at >= now() - make_interval(mins => %(minutes)s)
    ), counted AS (
        SELECT count(*) FILTER (WHERE of_name AND of_address) AS of_both,
               count(*) FILTER (WHERE of_address) AS of_address, count(*) FILTER (WHERE of_name) AS of_name
        FROM recent
    ), begun AS (
        INSERT INTO sign_in_attempts (name_digest, address)
        SELECT %(digest)s, %(address)s FROM counted
        WHERE of_both < %(of_both)s AND of_address < %(of_address)s AND of_name < %(of_name)s
        RETURNING id
    )
    SELECT begun.id, u.password_hash
    FROM begun LEFT JOIN users u ON u.name = %(name)s AND u.disabled_at IS NULL
"""

_FORGET: Final = """
    DELETE FROM sign_in_attempts WHERE name_digest = %(digest)s AND address = %(address)s
"""

_STILL: Final = """
    UPDATE users SET password_hash = %(after)s
    WHERE name = %(name)s AND password_hash = %(before)s AND disabled_at IS NULL
"""

_RENEW: Final = "UPDATE users SET password_hash = %(password_hash)s WHERE name = %(name)s"

_BY_SUBJECT: Final = """
    UPDATE users SET oidc_subject = %(subject)s
    WHERE name = %(name)s AND disabled_at IS NULL AND coalesce(oidc_subject, %(subject)s) = %(subject)s
    RETURNING name
"""
