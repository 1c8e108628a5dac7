"""Sessions in the console: begun by signing in, over after a while without a person, or a long day."""

from typing import Final

from mpesa_balance.database import Connection
from mpesa_balance.errors import NotSignedIn
from mpesa_balance.people.bearers import digest, new_bearer
from mpesa_balance.people.roles import Person, Role

#: Over after so long without anything done by a person, and at the latest so long after it began.
IDLE_MINUTES: Final = 30
LONGEST_HOURS: Final = 12


def begin(connection: Connection, name: str) -> str:
    """Let a user in; gives the secret that his browser shows from now on. Raises NotSignedIn."""
    connection.execute(_SWEEP, _LIMITS)
    made = new_bearer()
    if not connection.execute(_BEGIN, {"digest": digest(made), "name": name}).rowcount:
        raise NotSignedIn("this account is disabled: ask an administrator")
    return made


def person_of(connection: Connection, session: str, *, by_himself: bool = True) -> Person | None:
    """Who is in with this session; None where it is over, or he is disabled.

    by_himself: whether a person did something; what a page does by itself keeps no session open.
    """
    given = {"digest": digest(session), **_LIMITS}
    row = connection.execute(_PERSON_OF, given).fetchone()
    if row is None:
        return None
    # Not at every request: a session that is in use is written once a minute.
    if by_himself and row.pop("unseen_seconds") > 60:
        connection.execute(_SEEN, given)
    return person(row["name"], row["role"], row["granted"])


def end(connection: Connection, session: str) -> None:
    """Sign out with this session."""
    connection.execute("DELETE FROM sessions WHERE digest = %(digest)s", {"digest": digest(session)})


def person(name: str, role: str, granted: list[str] | None) -> Person:
    """Who a row of `users` is, with what was granted to him; None for everything."""
    return Person(name=name, role=Role(role), shortcodes=None if granted is None else frozenset(granted))


_LIMITS: Final = {"idle": IDLE_MINUTES, "longest": LONGEST_HOURS}

_LASTS: Final = """
    s.seen_at > now() - make_interval(mins => %(idle)s)
    AND s.begun_at > now() - make_interval(hours => %(longest)s)
"""

#: A user's role and grants, for whoever comes with something that is his: NULL where he may see all.
GRANTED: Final = """
    u.name, u.role, CASE WHEN u.every_shortcode THEN NULL
        ELSE ARRAY(SELECT g.shortcode FROM user_grants g WHERE g.user_name = u.name) END AS granted
"""

_SWEEP: Final = f"DELETE FROM sessions s WHERE NOT ({_LASTS})"  # noqa: S608 - of our own words

#: Whoever disables him at the same time waits, and then ends this session as well.
_BEGIN: Final = """
    INSERT INTO sessions (digest, user_name)
    SELECT %(digest)s, name FROM users WHERE name = %(name)s AND disabled_at IS NULL FOR SHARE
"""

_PERSON_OF: Final = f"""
    SELECT {GRANTED}, extract(epoch FROM now() - s.seen_at)::float AS unseen_seconds
    FROM sessions s JOIN users u ON u.name = s.user_name
    WHERE s.digest = %(digest)s AND u.disabled_at IS NULL AND {_LASTS}
"""  # noqa: S608 - of our own words

_SEEN: Final = "UPDATE sessions SET seen_at = now() WHERE digest = %(digest)s"
