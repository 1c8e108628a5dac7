"""The accounts of people and services: made, changed and disabled, never removed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.people.roles import Person, Role
from mpesa_balance.shortcodes import unregistered


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account as administrators see it. shortcodes: None where all may be seen."""

    name: str
    role: Role
    shortcodes: tuple[str, ...] | None
    has_password: bool
    has_single_sign_on: bool
    created_at: datetime
    disabled_at: datetime | None
    seen_at: datetime | None

    @property
    def person(self) -> Person:
        """Who that is."""
        shortcodes = None if self.shortcodes is None else frozenset(self.shortcodes)
        return Person(name=self.name, role=self.role, shortcodes=shortcodes)

    def document(self) -> dict[str, Any]:
        """The account as JSON has it."""
        instants = {name: getattr(self, name) for name in ("created_at", "disabled_at", "seen_at")}
        return {
            "name": self.name,
            "role": self.role,
            "shortcodes": None if self.shortcodes is None else list(self.shortcodes),
            "has_password": self.has_password,
            "has_single_sign_on": self.has_single_sign_on,
            **{name: instant and instant.isoformat() for name, instant in instants.items()},
        }


def add(connection: Connection, name: str, role: Role, shortcodes: Iterable[str] | None) -> None:
    """Make an account. Raises RequestRefused, or NotFound for a shortcode.

    name: lowercase letters, digits and . _ @ + -; with single sign-on, what that calls them.
    shortcodes: what may be seen; None for all.
    """
    _check_scope(role, shortcodes)
    if not _NAME.fullmatch(name):
        rule = "1 to 100 of a-z, 0-9 and . _ @ + -, beginning with a letter or digit"
        raise RequestRefused([f"a user's name is made of {rule}, not {name!r}"])
    row = {"name": name, "role": role, "every": shortcodes is None}
    if not connection.execute(_ADD, row).rowcount:
        raise RequestRefused([f"there is a user {name} already: see `mpesa-balance users list`"])
    _grant(connection, name, shortcodes)


def change(connection: Connection, name: str, role: Role, shortcodes: Iterable[str] | None) -> None:
    """Give an account another role, and other shortcodes. Raises NotFound or RequestRefused."""
    _check_scope(role, shortcodes)
    _written(connection, _CHANGE, {"name": name, "role": role, "every": shortcodes is None})
    _grant(connection, name, shortcodes)


def disable(connection: Connection, name: str) -> None:
    """Let an account in no more, and end what it is in with. Raises NotFound or RequestRefused."""
    _written(connection, _DISABLE, {"name": name})
    connection.execute("DELETE FROM sessions WHERE user_name = %(name)s", {"name": name})
    connection.execute("DELETE FROM sign_in_links WHERE user_name = %(name)s", {"name": name})


def enable(connection: Connection, name: str) -> None:
    """Let a disabled account in again, with its password and its tokens. Raises NotFound."""
    _written(connection, "UPDATE users SET disabled_at = NULL WHERE name = %(name)s", {"name": name})


def every(connection: Connection) -> list[User]:
    """All accounts, by name."""
    return [_user(row) for row in connection.execute(_EVERY, {"name": None})]


def forget_sign_on(connection: Connection, name: str) -> None:
    """Forget whom the provider of single sign-on meant by a name. Raises NotFound."""
    _written(connection, "UPDATE users SET oidc_subject = NULL WHERE name = %(name)s", {"name": name})


def any_yet(connection: Connection) -> bool:
    """Whether there is any account."""
    return bool(connection.execute("SELECT 1 FROM users LIMIT 1").rowcount)


def named(connection: Connection, name: str) -> User:
    """One account. Raises NotFound."""
    row = connection.execute(_EVERY, {"name": name}).fetchone()
    if row is None:
        raise _unknown(name)
    return _user(row)


def _written(connection: Connection, statement: str, row: dict[str, Any]) -> None:
    # One at a time: two administrators who disable each other at once must not both be gone.
    connection.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    were_any = connection.execute(_ADMINISTRATORS).rowcount
    if not connection.execute(statement, row).rowcount:
        raise _unknown(row["name"])
    if were_any and not connection.execute(_ADMINISTRATORS).rowcount:
        raise RequestRefused(["nobody would be left to manage people: make another administrator first"])


def _check_scope(role: Role, shortcodes: Iterable[str] | None) -> None:
    if role is Role.ADMINISTRATOR and shortcodes is not None:
        raise RequestRefused(["an administrator may see every shortcode: he could grant himself any"])


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no user {name!r}: see `mpesa-balance users list`")


def _grant(connection: Connection, name: str, shortcodes: Iterable[str] | None) -> None:
    connection.execute("DELETE FROM user_grants WHERE user_name = %(name)s", {"name": name})
    for shortcode in dict.fromkeys(shortcodes or ()):
        given = connection.execute(_GRANT, {"name": name, "shortcode": shortcode})
        if not given.rowcount:
            raise NotFound(unregistered(shortcode))


def _user(row: dict[str, Any]) -> User:
    shortcodes = None if row.pop("every_shortcode") else tuple(row.pop("granted"))
    row.pop("granted", None)
    return User(**(row | {"role": Role(row["role"]), "shortcodes": shortcodes}))


#: As the table has it.
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}", re.ASCII)

_ADD: Final = """
    INSERT INTO users (name, role, every_shortcode) VALUES (%(name)s, %(role)s, %(every)s)
    ON CONFLICT (name) DO NOTHING
"""

_CHANGE: Final = "UPDATE users SET role = %(role)s, every_shortcode = %(every)s WHERE name = %(name)s"

_DISABLE: Final = "UPDATE users SET disabled_at = coalesce(disabled_at, now()) WHERE name = %(name)s"

_GRANT: Final = """
    INSERT INTO user_grants (user_name, shortcode)
    SELECT %(name)s, shortcode FROM shortcodes WHERE shortcode = %(shortcode)s
"""

_ADMINISTRATORS: Final = "SELECT FROM users WHERE role = 'administrator' AND disabled_at IS NULL LIMIT 1"

_EVERY: Final = """
    SELECT u.name, u.role, u.every_shortcode, u.password_hash IS NOT NULL AS has_password,
           u.oidc_subject IS NOT NULL AS has_single_sign_on, u.created_at, u.disabled_at,
           (SELECT max(s.seen_at) FROM sessions s WHERE s.user_name = u.name) AS seen_at,
           ARRAY(SELECT g.shortcode FROM user_grants g WHERE g.user_name = u.name ORDER BY g.shortcode)
               AS granted
    FROM users u WHERE %(name)s::text IS NULL OR u.name = %(name)s::text ORDER BY u.name
"""
