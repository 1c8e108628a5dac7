"""People with accounts, as tests of the library make them: without a console."""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from argon2 import PasswordHasher

from mpesa_balance.database import Connection
from mpesa_balance.people import links, users
from mpesa_balance.people.roles import Role
from tests.integration.answers import rows
from tests.integration.console_desk import PASSWORD
from worker.house import House

Given = ParamSpec("Given")
Found = TypeVar("Found")

#: Of PASSWORD, and compared in no time.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def within(
    house: House,
    act: Callable[Concatenate[Connection, Given], Found],
    *given: Given.args,
    **options: Given.kwargs,
) -> Found:
    """What is done in a transaction of its own."""
    with house.database.transaction() as connection:
        return act(connection, *given, **options)


def add(
    house: House,
    name: str = "alice",
    role: Role = Role.ADMINISTRATOR,
    shortcodes: Sequence[str] | None = None,
    *,
    password: bool = False,
) -> None:
    """Make an account; with a password, PASSWORD."""
    within(house, users.add, name, role, shortcodes)
    if password:
        within(house, links.use, within(house, links.make, name), QUICK)


def let_pass(house: House, column: str, time: str) -> None:
    """Move an instant back by some time, in every row: `let_pass(house, "sessions.seen_at", "1 hour")`."""
    table, name = column.split(".")
    statement = f"UPDATE {table} SET {name} = {name} - %s::interval RETURNING {name}"
    assert rows(house, statement, time)
