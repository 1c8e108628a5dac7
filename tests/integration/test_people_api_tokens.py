"""API tokens: which can be made, whom each lets in, until when, and what is kept of it."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.people import api_tokens, links, sessions
from mpesa_balance.people.api_tokens import ApiToken
from mpesa_balance.people.roles import Person, Role
from tests.conftest import SHORTCODE
from tests.integration.answers import rows
from tests.integration.peopled import add, let_pass, within
from worker.house import House

pytestmark = pytest.mark.console


@pytest.fixture(autouse=True)
def _alice(house: House) -> None:
    add(house)


def token(house: House, name: str = "alice", label: str = "nightly export", days: int = 90) -> str:
    return within(house, api_tokens.make, name, label, days)


def listed(house: House, name: str | None = None) -> list[ApiToken]:
    return within(house, api_tokens.listed, name)


def test_a_token_lets_in_its_user_with_its_label(house: House) -> None:
    add(house, "till", Role.VIEWER, (SHORTCODE,))
    bearer = within(house, api_tokens.bearer_of, token(house, "till", "  of the till "))
    assert bearer is not None
    assert bearer.label == "of the till"
    assert bearer.person == Person(name="till", role=Role.VIEWER, shortcodes=frozenset({SHORTCODE}))
    assert within(house, api_tokens.bearer_of, "guessed") is None


@pytest.mark.parametrize("label", ["", "   ", "x" * 61, "two\nlines", "bell\a", "nul\0"])
def test_a_label_that_cannot_be_shown_is_refused(house: House, label: str) -> None:
    with pytest.raises(RequestRefused, match="label must have 1 to 60 printable characters"):
        token(house, label=label)


@pytest.mark.parametrize("days", [-1, 0, 401, 10**9])
def test_a_token_lasts_as_long_as_it_may(house: House, days: int) -> None:
    with pytest.raises(RequestRefused, match="a token lasts from 1 to 400 days"):
        token(house, days=days)
    assert listed(house) == []


def test_everything_that_is_wrong_with_a_token_is_told_at_once(house: House) -> None:
    with pytest.raises(RequestRefused) as refused:
        token(house, label="", days=0)
    assert len(refused.value.violations) == 2


@pytest.mark.parametrize("days", [1, 400])
def test_a_token_is_over_on_its_last_day(house: House, days: int) -> None:
    made = token(house, label="x" * 60, days=days)
    let_pass(house, "api_tokens.ends_at", f"{days - 1} days 23 hours 59 minutes")
    assert within(house, api_tokens.bearer_of, made) is not None
    let_pass(house, "api_tokens.ends_at", "1 minute")
    assert within(house, api_tokens.bearer_of, made) is None


def revoke(house: House, token_id: UUID, *name: str) -> ApiToken:
    return within(house, api_tokens.revoke, token_id, *name)


def test_a_token_that_is_revoked_lets_nobody_in_and_others_go_on(house: House) -> None:
    first, second = token(house, label="first"), token(house, label="second")
    (kept, ended) = listed(house)
    assert revoke(house, ended.id).label == "first"
    assert within(house, api_tokens.bearer_of, first) is None
    assert within(house, api_tokens.bearer_of, second) is not None
    revoked = revoke(house, ended.id)
    assert {one.id: one.revoked_at for one in listed(house)} == {
        kept.id: None,
        ended.id: revoked.revoked_at,
    }


def test_only_ones_own_token_is_revoked_where_a_name_is_given(house: House) -> None:
    add(house, "bob")
    hers = token(house)
    (made,) = listed(house)
    for refused in (lambda: revoke(house, made.id, "bob"), lambda: revoke(house, uuid4())):
        with pytest.raises(NotFound, match="there is no API token"):
            refused()
    assert within(house, api_tokens.bearer_of, hers) is not None
    assert revoke(house, made.id, "alice").revoked_at


def test_when_a_token_was_used_is_told_to_the_minute(house: House) -> None:
    made = token(house)
    assert listed(house)[0].used_at is None
    within(house, api_tokens.bearer_of, made)
    for age, is_written in (("50 seconds", False), ("11 seconds", True)):
        let_pass(house, "api_tokens.used_at", age)
        (before,) = listed(house)
        within(house, api_tokens.bearer_of, made)
        (after,) = listed(house)
        assert (after.used_at != before.used_at) is is_written


def test_tokens_are_listed_newest_first_of_one_user_or_of_all(house: House) -> None:
    add(house, "bob")
    for name, label in (("alice", "first"), ("bob", "second"), ("alice", "third")):
        token(house, name, label)
    assert [one.label for one in listed(house)] == ["third", "second", "first"]
    assert [one.label for one in listed(house, "alice")] == ["third", "first"]
    assert set(listed(house)[0].document()) == {
        *("id", "user", "label", "created_at", "ends_at", "used_at", "revoked_at")
    }


def test_of_what_lets_people_in_only_digests_are_kept(house: House) -> None:
    makes: tuple[Callable[[], str], ...] = (
        lambda: within(house, links.make, "alice"),
        lambda: within(house, sessions.begin, "alice"),
        lambda: token(house),
    )
    secrets = [make() for make in makes]
    assert len({len(secret) for secret in secrets}) == 1
    assert len(set(secrets)) == 3
    for table, secret in zip(("sign_in_links", "sessions", "api_tokens"), secrets, strict=True):
        (kept,) = rows(
            house, f"SELECT t::text AS all, sha256(%s) = digest AS fits FROM {table} t", secret.encode()
        )
        assert kept["fits"]
        assert secret not in kept["all"]
        assert secret.encode().hex() not in kept["all"]
