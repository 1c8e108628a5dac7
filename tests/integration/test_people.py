"""Accounts of people: which can be made, and what a change of one changes."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from mpesa_balance import shortcodes
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.people import api_tokens, links, sessions, users
from mpesa_balance.people.roles import Role
from tests.conftest import SHORTCODE, entry_of
from tests.integration.answers import rows
from tests.integration.peopled import add, within
from tests.integration.test_races import second_waits
from worker.house import House

pytestmark = pytest.mark.console

BRANCH = "600001"

#: Names that nobody may have.
NO_NAMES = (
    "",
    "Alice",
    "-alice",
    ".alice",
    "@alice",
    "ali ce",
    "a/b",
    "alice\n",
    "álice",
    "alice\u0661",
    "a" * 101,
)


def document(house: House, name: str = "alice") -> dict[str, Any]:
    return within(house, users.named, name).document()


def scope(house: House, name: str = "alice") -> tuple[Role, tuple[str, ...] | None]:
    found = within(house, users.named, name)
    return found.role, found.shortcodes


@pytest.fixture
def branch(house: House) -> None:
    """Another shortcode."""
    within(house, shortcodes.add, house.database.sealer, entry_of(BRANCH))


def test_a_new_account_has_nothing_to_come_in_with(house: House) -> None:
    add(house)
    found = document(house)
    assert found.pop("created_at")
    assert found == {
        "name": "alice",
        "role": "administrator",
        "shortcodes": None,
        "has_password": False,
        "has_single_sign_on": False,
        "disabled_at": None,
        "seen_at": None,
    }


@pytest.mark.parametrize("name", ["a", "0", "a" * 100, "alice.kamau+till@example.co.ke", "svc_1-x"])
def test_a_name_may_be_an_address_or_a_services(house: House, name: str) -> None:
    add(house, name)
    assert [one.name for one in within(house, users.every)] == [name]


@pytest.mark.parametrize("name", [*NO_NAMES, "a\0"])
def test_a_name_of_other_signs_is_refused_in_words(house: House, name: str) -> None:
    with pytest.raises(RequestRefused, match=r"1 to 100 of a-z, 0-9 and \. _ @ \+ -, beginning with"):
        add(house, name)
    assert within(house, users.every) == []


@pytest.mark.parametrize("name", NO_NAMES)
def test_postgres_takes_no_such_name_either(house: House, name: str) -> None:
    statement = "INSERT INTO users (name, role, every_shortcode) VALUES (%s, 'viewer', true) RETURNING name"
    with pytest.raises(psycopg.errors.CheckViolation):
        rows(house, statement, name)


def test_a_name_is_given_once(house: House) -> None:
    add(house)
    with pytest.raises(RequestRefused, match="there is a user alice already"):
        add(house, role=Role.VIEWER)
    assert scope(house) == (Role.ADMINISTRATOR, None)


def test_of_two_who_give_a_name_at_once_the_second_is_refused(house: House) -> None:
    first = house.database.transaction()
    users.add(first.__enter__(), "alice", Role.VIEWER, ())
    with pytest.raises(RequestRefused, match="already"):
        second_waits(house, lambda: add(house), lambda: first.__exit__(None, None, None))
    assert scope(house) == (Role.VIEWER, ())


@pytest.mark.usefixtures("branch")
def test_shortcodes_are_granted_each_once_and_in_order(house: House) -> None:
    add(house, role=Role.VIEWER, shortcodes=(BRANCH, SHORTCODE, BRANCH))
    assert scope(house) == (Role.VIEWER, (SHORTCODE, BRANCH))
    assert within(house, users.named, "alice").person.shortcodes == {SHORTCODE, BRANCH}


def test_a_shortcode_that_is_not_registered_is_granted_to_nobody(house: House) -> None:
    with pytest.raises(NotFound, match="shortcode 699999 is not registered"):
        add(house, role=Role.VIEWER, shortcodes=(SHORTCODE, "699999"))
    assert within(house, users.every) == []
    add(house, role=Role.VIEWER, shortcodes=(SHORTCODE,))
    with pytest.raises(NotFound, match="699999"):
        within(house, users.change, "alice", Role.OPERATOR, ("699999",))
    assert scope(house) == (Role.VIEWER, (SHORTCODE,))


def test_an_administrator_of_some_shortcodes_is_refused(house: House) -> None:
    for some in ((), (SHORTCODE,)):
        with pytest.raises(RequestRefused, match="an administrator may see every shortcode"):
            add(house, shortcodes=some)
    add(house, role=Role.VIEWER, shortcodes=(SHORTCODE,))
    with pytest.raises(RequestRefused, match="an administrator may see every shortcode"):
        within(house, users.change, "alice", Role.ADMINISTRATOR, (SHORTCODE,))
    assert scope(house) == (Role.VIEWER, (SHORTCODE,))


@pytest.mark.usefixtures("branch")
def test_a_change_takes_the_place_of_what_was_before(house: House) -> None:
    add(house, role=Role.VIEWER, shortcodes=(SHORTCODE,))
    for after in ((BRANCH,), (), None, (SHORTCODE, BRANCH)):
        within(house, users.change, "alice", Role.OPERATOR, after)
        assert scope(house) == (Role.OPERATOR, after)
    within(house, users.change, "alice", Role.VIEWER, None)
    assert rows(house, "SELECT FROM user_grants") == []


def test_a_change_holds_for_whoever_is_in_already(house: House) -> None:
    add(house, role=Role.OPERATOR)
    session, token = within(house, sessions.begin, "alice"), within(house, api_tokens.make, "alice", "x", 1)
    within(house, users.change, "alice", Role.VIEWER, (SHORTCODE,))
    bearer = within(house, api_tokens.bearer_of, token)
    assert bearer is not None
    for person in (within(house, sessions.person_of, session), bearer.person):
        assert person is not None
        assert (person.role, person.shortcodes) == (Role.VIEWER, {SHORTCODE})


@pytest.mark.parametrize(
    "act",
    [
        lambda connection: users.change(connection, "bob", Role.VIEWER, None),
        lambda connection: users.disable(connection, "bob"),
        lambda connection: users.enable(connection, "bob"),
        lambda connection: users.named(connection, "bob"),
        lambda connection: links.make(connection, "bob"),
        lambda connection: api_tokens.make(connection, "bob", "label", 1),
    ],
)
def test_who_has_no_account_is_not_found(house: House, act: Callable[[Connection], object]) -> None:
    add(house)
    with pytest.raises(NotFound, match="there is no user 'bob': see `mpesa-balance users list`"):
        within(house, act)
