"""API tokens: each is a user's, has a label and an end, and is shown once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.people import users
from mpesa_balance.people.bearers import digest, new_bearer
from mpesa_balance.people.roles import Person
from mpesa_balance.people.sessions import GRANTED, person

#: The longest that a token may last, in days.
LONGEST_DAYS: Final = 400

_LONGEST_LABEL: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token without its secret. used_at: to the minute."""

    id: UUID
    user_name: str
    label: str
    created_at: datetime
    ends_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    def document(self) -> dict[str, Any]:
        """The token as JSON has it."""
        instants = {
            name: getattr(self, name) for name in ("created_at", "ends_at", "used_at", "revoked_at")
        }
        told = {name: instant and instant.isoformat() for name, instant in instants.items()}
        return {"id": str(self.id), "user": self.user_name, "label": self.label, **told}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Whoever came with a token, and which."""

    person: Person
    label: str


def make(connection: Connection, name: str, label: str, days: int) -> str:
    """A new token's secret for a user. Raises NotFound or RequestRefused."""
    wrong = []
    if not (label.isprintable() and 0 < len(label.strip()) <= _LONGEST_LABEL):
        wrong.append(f"a token's label must have 1 to {_LONGEST_LABEL} printable characters")
    if not 1 <= days <= LONGEST_DAYS:
        wrong.append(f"a token lasts from 1 to {LONGEST_DAYS} days")
    if wrong:
        raise RequestRefused(wrong)
    users.named(connection, name)
    made = new_bearer()
    row = {"id": uuid4(), "name": name, "label": label.strip(), "digest": digest(made), "days": days}
    connection.execute(_MAKE, row)
    return made


def bearer_of(connection: Connection, token: str) -> Bearer | None:
    """Who comes with a token; None where it is unknown, over or revoked, or its user disabled."""
    row = connection.execute(_BEARER_OF, {"digest": digest(token)}).fetchone()
    if row is None:
        return None
    if row["unused_seconds"] is None or row["unused_seconds"] > 60:
        connection.execute(_USED, {"digest": digest(token)})
    return Bearer(person=person(row["name"], row["role"], row["granted"]), label=row["label"])


def listed(connection: Connection, name: str | None = None) -> list[ApiToken]:
    """The tokens of a user, or all; the newest first."""
    return [ApiToken(**row) for row in connection.execute(_LISTED, {"name": name})]


def revoke(connection: Connection, token_id: UUID, name: str | None = None) -> ApiToken:
    """Let nobody in with a token any more; `name`: only where it is his. Raises NotFound."""
    row = connection.execute(_REVOKE, {"id": token_id, "name": name}).fetchone()
    if row is None:
        raise NotFound(f"there is no API token {token_id}: see `mpesa-balance users tokens`")
    return ApiToken(**row)


_COLUMNS: Final = "id, user_name, label, created_at, ends_at, used_at, revoked_at"

_MAKE: Final = """
    INSERT INTO api_tokens (id, user_name, label, digest, ends_at)
    VALUES (%(id)s, %(name)s, %(label)s, %(digest)s, now() + make_interval(days => %(days)s))
"""

_BEARER_OF: Final = f"""
    SELECT {GRANTED}, t.label, extract(epoch FROM now() - t.used_at)::float AS unused_seconds
    FROM api_tokens t JOIN users u ON u.name = t.user_name
    WHERE t.digest = %(digest)s AND t.revoked_at IS NULL AND t.ends_at > now() AND u.disabled_at IS NULL
"""  # noqa: S608 - of our own words

_USED: Final = "UPDATE api_tokens SET used_at = now() WHERE digest = %(digest)s"

_LISTED: Final = f"""
    SELECT {_COLUMNS} FROM api_tokens WHERE %(name)s::text IS NULL OR user_name = %(name)s::text
    ORDER BY created_at DESC, id
"""  # noqa: S608 - of our own words

_REVOKE: Final = f"""
    UPDATE api_tokens SET revoked_at = coalesce(revoked_at, now())
    WHERE id = %(id)s AND (%(name)s::text IS NULL OR user_name = %(name)s::text) RETURNING {_COLUMNS}
"""  # noqa: S608 - of our own words
