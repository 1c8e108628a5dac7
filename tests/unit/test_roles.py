"""Roles: what each may do, which shortcodes a person sees, and what he is told where he may not."""

import pytest

from mpesa_balance.errors import Forbidden
from mpesa_balance.people.roles import RIGHTS, Person, Right, Role

TILL, BRANCH = "600000", "600001"


def person(role: Role = Role.VIEWER, shortcodes: frozenset[str] | None = None) -> Person:
    return Person(name="wanjiru", role=role, shortcodes=shortcodes)


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (Role.VIEWER, {Right.LOOK}),
        (
            Role.OPERATOR,
            {Right.LOOK, Right.ASK, Right.RECONCILE, Right.HANDLE, Right.ACKNOWLEDGE},
        ),
        (Role.ADMINISTRATOR, set(Right)),
    ],
)
def test_a_role_has_these_rights_and_no_others(role: Role, rights: set[Right]) -> None:
    assert {right for right in Right if person(role).may(right)} == rights


def test_every_role_has_rights_and_each_has_all_of_the_one_before() -> None:
    assert set(RIGHTS) == set(Role)
    assert RIGHTS[Role.VIEWER] < RIGHTS[Role.OPERATOR] < RIGHTS[Role.ADMINISTRATOR]


def test_what_is_demanded_of_somebody_who_may_passes() -> None:
    for role in Role:
        for right in RIGHTS[role]:
            person(role).demand(right)


@pytest.mark.parametrize(
    ("role", "right", "sentence"),
    [
        (
            Role.VIEWER,
            Right.ASK,
            "wanjiru is a viewer and may not ask for a balance: ask an operator or administrator",
        ),
        (
            Role.VIEWER,
            Right.HANDLE,
            (
                "wanjiru is a viewer and may not look into the inbox and replay callbacks: "
                "ask an operator or administrator"
            ),
        ),
        (
            Role.OPERATOR,
            Right.MANAGE,
            "wanjiru is an operator and may not manage people: ask an administrator",
        ),
    ],
)
def test_who_may_not_is_told_why_and_whom_to_ask(role: Role, right: Right, sentence: str) -> None:
    with pytest.raises(Forbidden) as refused:
        person(role).demand(right)
    assert refused.value.violations == (sentence,)


@pytest.mark.parametrize(
    ("granted", "shortcode", "seen"),
    [
        (None, TILL, True),
        # What concerns no shortcode is for those who see all.
        (None, None, True),
        (frozenset({TILL}), TILL, True),
        (frozenset({TILL}), BRANCH, False),
        (frozenset({TILL}), None, False),
        # A part of one is another one.
        (frozenset({TILL}), "60000", False),
        (frozenset({TILL}), "", False),
        (frozenset(), TILL, False),
        (frozenset(), None, False),
    ],
)
def test_a_person_sees_what_was_granted_to_him(
    granted: frozenset[str] | None, shortcode: str | None, seen: bool
) -> None:
    assert person(shortcodes=granted).sees(shortcode) is seen


def test_a_role_shows_no_shortcode_that_was_not_granted() -> None:
    assert [role for role in Role if person(role, frozenset({TILL})).sees(BRANCH)] == []


def test_a_shortcode_that_was_granted_passes() -> None:
    person(shortcodes=frozenset({TILL})).demand_shortcode(TILL)
    person(shortcodes=None).demand_shortcode(BRANCH)


def test_a_shortcode_that_was_not_granted_is_refused_in_words_that_do_not_say_whether_there_is_one() -> (
    None
):
    with pytest.raises(Forbidden) as refused:
        person(shortcodes=frozenset({TILL})).demand_shortcode(BRANCH)
    assert refused.value.violations == (
        "shortcode 600001 is not among those that wanjiru may see: an administrator grants it",
    )
