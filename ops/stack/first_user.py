"""The first user of a console that nobody can enter yet: an administrator, let in by a one-time link."""

from collections.abc import Mapping
from contextlib import closing
from itertools import chain, count
from typing import Final

from mpesa_balance.database import Connection, Database
from mpesa_balance.people import administration, users
from mpesa_balance.people.roles import Role
from mpesa_balance.sealing import parse_sealer
from mpesa_balance.settings import DatabaseSettings

FIRST: Final = "admin"

_ACTOR: Final = "mpesa-balance up"


def entrance(settings: Mapping[str, str]) -> str:
    """Where the console is; with a one-time link where nobody can sign in yet."""
    sealer = parse_sealer(settings["SEALING_KEYS"])
    database = Database(DatabaseSettings(database_url=settings["DATABASE_URL"], sealer=sealer))
    with closing(database), database.transaction() as connection:
        invited = _invited(connection)
    if invited is None:
        return settings["CONSOLE_URL"]
    name, path = invited
    return f"{settings['CONSOLE_URL']}{path} (once: it sets the password of {name!r})"


def _invited(connection: Connection) -> tuple[str, str] | None:
    """The administrator that nobody is yet, and the path of his link; None where somebody can sign in."""
    known = users.every(connection)
    if any(one.has_password or one.has_single_sign_on for one in known):
        return None
    for one in known:
        if one.role is Role.ADMINISTRATOR and not one.disabled_at:
            return one.name, administration.link(connection, _ACTOR, one.name)
    taken = {one.name for one in known}
    name = next(name for name in chain([FIRST], map(f"{FIRST}-{{}}".format, count(2))) if name not in taken)
    return name, administration.add(connection, _ACTOR, name, Role.ADMINISTRATOR, None)
