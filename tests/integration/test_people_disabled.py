"""Disabling accounts: what is over with it and what comes back, and that somebody is left to manage."""

from collections.abc import Callable
from typing import Any

import pytest

from mpesa_balance.database import Connection
from mpesa_balance.errors import NotSignedIn, RequestRefused
from mpesa_balance.people import administration, api_tokens, links, sessions, users
from mpesa_balance.people.roles import Role
from tests.integration.answers import row
from tests.integration.peopled import QUICK, add, let_pass, within
from tests.integration.test_races import second_waits
from tests.integration.trail import trail
from worker.house import House

pytestmark = pytest.mark.console


def document(house: House, name: str = "alice") -> dict[str, Any]:
    return within(house, users.named, name).document()


def disable(connection: Connection, by: str, name: str) -> None:
    administration.disable(connection, by, name)


def demote(connection: Connection, by: str, name: str) -> None:
    administration.change(connection, by, name, Role.OPERATOR, None)


@pytest.mark.parametrize("act", [disable, demote])
def test_the_last_administrator_stays_one(house: House, act: Callable[..., None]) -> None:
    add(house)
    add(house, "bob", Role.OPERATOR)
    add(house, "carol")
    within(house, users.disable, "carol")
    with pytest.raises(RequestRefused, match="make another administrator first"):
        within(house, act, "alice", "alice")
    assert (document(house)["role"], document(house)["disabled_at"]) == ("administrator", None)
    assert trail(house) == []
    within(house, users.enable, "carol")
    within(house, act, "carol", "alice")
    with pytest.raises(RequestRefused, match="make another administrator first"):
        within(house, act, "carol", "carol")


@pytest.mark.parametrize("act", [disable, demote])
def test_of_two_administrators_who_part_with_each_other_at_once_one_stays(
    house: House, act: Callable[..., None]
) -> None:
    add(house)
    add(house, "bob")
    first = house.database.transaction()
    act(first.__enter__(), "alice", "bob")
    with pytest.raises(RequestRefused, match="make another administrator first"):
        second_waits(
            house,
            lambda: within(house, act, "bob", "alice"),
            lambda: first.__exit__(None, None, None),
        )
    assert (document(house)["role"], document(house)["disabled_at"]) == ("administrator", None)


def test_where_nobody_manages_people_yet_others_can_be_disabled(house: House) -> None:
    add(house, role=Role.VIEWER)
    within(house, users.disable, "alice")
    assert document(house)["disabled_at"]


def test_who_is_disabled_comes_in_with_nothing_and_gets_no_link(house: House) -> None:
    add(house, "root")
    add(house)
    session, token = within(house, sessions.begin, "alice"), within(house, api_tokens.make, "alice", "x", 1)
    link = within(house, links.make, "alice")
    within(house, users.disable, "alice")
    assert within(house, sessions.person_of, session) is None
    assert within(house, api_tokens.bearer_of, token) is None
    for use in (lambda: within(house, links.whose, link), lambda: within(house, links.use, link, QUICK)):
        with pytest.raises(NotSignedIn, match="ask an administrator"):
            use()
    with pytest.raises(RequestRefused, match="alice is disabled: enable him"):
        within(house, links.make, "alice")
    with pytest.raises(NotSignedIn, match="disabled"):
        within(house, sessions.begin, "alice")


def test_who_is_enabled_again_has_his_password_and_tokens_and_no_session_or_link(house: House) -> None:
    add(house, "root")
    add(house, password=True)
    session, token = within(house, sessions.begin, "alice"), within(house, api_tokens.make, "alice", "x", 1)
    link = within(house, links.make, "alice")
    within(house, users.disable, "alice")
    let_pass(house, "users.disabled_at", "1 hour")
    since = document(house)["disabled_at"]
    within(house, users.disable, "alice")
    assert document(house)["disabled_at"] == since
    within(house, users.enable, "alice")
    assert (document(house)["disabled_at"], document(house)["has_password"]) == (None, True)
    assert within(house, api_tokens.bearer_of, token) is not None
    assert within(house, sessions.person_of, session) is None
    with pytest.raises(NotSignedIn):
        within(house, links.whose, link)


def test_who_comes_in_while_he_is_being_disabled_is_out_again(house: House) -> None:
    add(house, "root")
    add(house)
    coming = house.database.transaction()
    session = sessions.begin(coming.__enter__(), "alice")
    second_waits(
        house, lambda: within(house, users.disable, "alice"), lambda: coming.__exit__(None, None, None)
    )
    within(house, users.enable, "alice")
    assert within(house, sessions.person_of, session) is None


def test_who_is_being_disabled_does_not_come_in(house: House) -> None:
    add(house, "root")
    add(house)
    disabling = house.database.transaction()
    users.disable(disabling.__enter__(), "alice")
    with pytest.raises(NotSignedIn, match="disabled"):
        second_waits(
            house,
            lambda: within(house, sessions.begin, "alice"),
            lambda: disabling.__exit__(None, None, None),
        )
    assert row(house, "SELECT count(*) FROM sessions") == {"count": 0}
