"""Shortcodes as people and the API see them: reads only, and without anybody's credential."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mpesa_balance import passwords
from mpesa_balance.contract import check_shortcode
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound
from mpesa_balance.shortcodes import unregistered


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """A shortcode. password_age_days: by the database clock; the password may be older, never younger."""

    shortcode: str
    app: str
    initiator: str
    credential_kind: str
    password_age_days: int
    suspended_at: datetime | None
    suspended_because: str | None

    @property
    def password_outlook(self) -> str:
        """Whether its password is fresh, ageing or expired."""
        return passwords.outlook(self.password_age_days)

    def document(self) -> dict[str, Any]:
        """The shortcode as JSON has it."""
        return {
            "shortcode": self.shortcode,
            "app": self.app,
            "suspended_at": self.suspended_at and self.suspended_at.isoformat(),
            "suspended_because": self.suspended_because,
        }


def page(
    connection: Connection,
    *,
    shortcodes: Iterable[str] | None = None,
    containing: str = "",
    after: str = "",
    limit: int,
) -> list[Brief]:
    """Shortcodes in their order, from the one after `after` on, at most so many.

    shortcodes: among these; None for all. containing: digits that stand in it.
    """
    row = {
        "shortcodes": None if shortcodes is None else list(shortcodes),
        "containing": containing,
        "after": after,
        "limit": limit,
    }
    return [Brief(**found) for found in connection.execute(_PAGE, row)]


def one(connection: Connection, shortcode: str) -> Brief:
    """One shortcode. Raises NotFound."""
    # What is none may hold what Postgres takes for no text.
    found = [] if check_shortcode(shortcode) else page(connection, shortcodes=[shortcode], limit=1)
    if not found:
        raise NotFound(unregistered(shortcode))
    return found[0]


_PAGE: Final = """
    SELECT shortcode, app, initiator, credential_kind, suspended_at, suspended_because,
           extract(day FROM now() - credential_set_at)::integer AS password_age_days
    FROM shortcodes
    WHERE shortcode > %(after)s AND strpos(shortcode, %(containing)s) > 0
      AND (%(shortcodes)s::text[] IS NULL OR shortcode = ANY(%(shortcodes)s::text[]))
    ORDER BY shortcode LIMIT %(limit)s
"""
