"""One-time links: whoever has one can set his user's password, once, while it lasts."""

from typing import Final

from mpesa_balance.database import Connection
from mpesa_balance.errors import NotSignedIn, RequestRefused
from mpesa_balance.people import users
from mpesa_balance.people.bearers import digest, new_bearer

#: How long a link lasts, in hours: it has to reach somebody who may be asleep.
LASTS_HOURS: Final = 48

_GONE: Final = (
    "this link was used, replaced by a newer one, or is too old: ask an administrator for another"
)


def make(connection: Connection, name: str) -> str:
    """A new link's secret for a user; the one before is void. Raises NotFound or RequestRefused."""
    if users.named(connection, name).disabled_at is not None:
        raise RequestRefused([f"user {name} is disabled: enable him before he gets a link"])
    made = new_bearer()
    connection.execute(_MAKE, {"name": name, "digest": digest(made), "hours": LASTS_HOURS})
    return made


def whose(connection: Connection, link: str) -> str:
    """The user that a link is for; it stays as it is. Raises NotSignedIn."""
    row = connection.execute(_WHOSE, {"digest": digest(link)}).fetchone()
    if row is None:
        raise NotSignedIn(_GONE)
    return str(row["user_name"])


def use(connection: Connection, link: str, password_hash: str) -> str:
    """Give the link's user this password, and end whatever he was in with. Raises NotSignedIn."""
    row = connection.execute(_USE, {"digest": digest(link), "password_hash": password_hash}).fetchone()
    if row is None:
        raise NotSignedIn(_GONE)
    connection.execute("DELETE FROM sessions WHERE user_name = %(name)s", row)
    return str(row["name"])


_MAKE: Final = """
    INSERT INTO sign_in_links (user_name, digest, ends_at)
    VALUES (%(name)s, %(digest)s, now() + make_interval(hours => %(hours)s))
    ON CONFLICT (user_name) DO UPDATE SET digest = excluded.digest, ends_at = excluded.ends_at
"""

_WHOSE: Final = "SELECT user_name FROM sign_in_links WHERE digest = %(digest)s AND ends_at > now()"

#: Whoever comes with it twice at once finds it gone: one of them has deleted it.
_USE: Final = """
    WITH used AS (
        DELETE FROM sign_in_links WHERE digest = %(digest)s AND ends_at > now() RETURNING user_name
    )
    UPDATE users u SET password_hash = %(password_hash)s FROM used
    WHERE u.name = used.user_name AND u.disabled_at IS NULL RETURNING u.name
"""
