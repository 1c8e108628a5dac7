"""Managing people, on record: each change to an account, with who made it, in one transaction."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from mpesa_balance import audit
from mpesa_balance.audit import Action
from mpesa_balance.database import Connection
from mpesa_balance.people import api_tokens, links, users
from mpesa_balance.people.api_tokens import ApiToken
from mpesa_balance.people.roles import Role

#: Where a one-time link leads, below the address of the console.
WELCOME: Final = "/welcome/"


def add(connection: Connection, by: str, name: str, role: Role, shortcodes: Sequence[str] | None) -> str:
    """Make an account; gives the path of its one-time link. Raises RequestRefused or NotFound."""
    users.add(connection, name, role, shortcodes)
    audit.add(connection, by, Action.USER_ADDED, name, told(role, shortcodes))
    return link(connection, by, name)


def change(
    connection: Connection, by: str, name: str, role: Role, shortcodes: Sequence[str] | None
) -> None:
    """Give an account another role and other shortcodes. Raises RequestRefused or NotFound."""
    users.change(connection, name, role, shortcodes)
    audit.add(connection, by, Action.USER_CHANGED, name, told(role, shortcodes))


def disable(connection: Connection, by: str, name: str) -> None:
    """Let an account in no more. Raises RequestRefused or NotFound."""
    users.disable(connection, name)
    audit.add(connection, by, Action.USER_DISABLED, name)


def enable(connection: Connection, by: str, name: str) -> None:
    """Let a disabled account in again. Raises NotFound."""
    users.enable(connection, name)
    audit.add(connection, by, Action.USER_ENABLED, name)


def forget_sign_on(connection: Connection, by: str, name: str) -> None:
    """Let the next one be it whom the provider of single sign-on calls so. Raises NotFound."""
    users.forget_sign_on(connection, name)
    audit.add(connection, by, Action.USER_CHANGED, name, "single sign-on forgotten")


def link(connection: Connection, by: str, name: str) -> str:
    """The path of a new one-time link for an account. Raises RequestRefused or NotFound."""
    made = links.make(connection, name)
    audit.add(connection, by, Action.SIGN_IN_LINK_MADE, name)
    return WELCOME + made


def make_token(connection: Connection, by: str, name: str, label: str, days: int) -> str:
    """A new API token of an account, which is shown once. Raises RequestRefused or NotFound."""
    made = api_tokens.make(connection, name, label, days)
    audit.add(connection, by, Action.API_TOKEN_MADE, name, f"{label}, {days} days")
    return made


def revoke_token(connection: Connection, by: str, token_id: UUID, name: str | None = None) -> ApiToken:
    """Let nobody in with an API token any more; `name`: only where it is his. Raises NotFound."""
    revoked = api_tokens.revoke(connection, token_id, name)
    audit.add(connection, by, Action.API_TOKEN_REVOKED, revoked.user_name, revoked.label)
    return revoked


def told(role: str, shortcodes: Sequence[str] | None) -> str:
    """What somebody is and sees, in words."""
    return f"{role} of {'every shortcode' if shortcodes is None else ' '.join(shortcodes)}"
