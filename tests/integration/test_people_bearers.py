"""One-time links and sessions: whom each lets in, how often, and until when."""

import pytest

from mpesa_balance.errors import NotSignedIn
from mpesa_balance.people import links, sessions, users
from mpesa_balance.people.roles import Person, Role
from tests.conftest import SHORTCODE
from tests.integration.answers import row
from tests.integration.peopled import QUICK, add, let_pass, within
from tests.integration.test_races import second_waits
from worker.house import House

pytestmark = pytest.mark.console


@pytest.fixture(autouse=True)
def _alice(house: House) -> None:
    add(house)


def gone(house: House, link: str) -> bool:
    """Whether a link lets nobody in: it can neither be looked at nor used."""
    for look in (lambda: within(house, links.whose, link), lambda: within(house, links.use, link, QUICK)):
        with pytest.raises(NotSignedIn, match="used, replaced by a newer one, or is too old"):
            look()
    return True


def in_with(house: House, session: str, *, by_himself: bool = True) -> str | None:
    """Who is in with a session."""
    found = within(house, sessions.person_of, session, by_himself=by_himself)
    return found.name if found else None


def test_a_link_sets_a_password_once_and_looking_at_it_does_not_use_it_up(house: House) -> None:
    link = within(house, links.make, "alice")
    assert [within(house, links.whose, link) for _ in range(3)] == ["alice"] * 3
    assert within(house, links.use, link, QUICK) == "alice"
    assert row(house, "SELECT password_hash FROM users") == {"password_hash": QUICK}
    assert gone(house, link)


def test_a_link_that_is_used_ends_the_sessions_of_its_user_alone(house: House) -> None:
    add(house, "bob")
    hers, his = within(house, sessions.begin, "alice"), within(house, sessions.begin, "bob")
    within(house, links.use, within(house, links.make, "alice"), QUICK)
    assert (in_with(house, hers), in_with(house, his)) == (None, "bob")
    assert row(house, "SELECT count(*) FROM users WHERE password_hash IS NOT NULL") == {"count": 1}


def test_of_two_who_use_a_link_at_once_one_gets_in(house: House) -> None:
    link = within(house, links.make, "alice")
    first = house.database.transaction()
    assert links.use(first.__enter__(), link, QUICK) == "alice"
    with pytest.raises(NotSignedIn, match="this link was used"):
        second_waits(
            house,
            lambda: within(house, links.use, link, "another hash"),
            lambda: first.__exit__(None, None, None),
        )
    assert row(house, "SELECT password_hash FROM users") == {"password_hash": QUICK}


def test_a_newer_link_takes_the_place_of_the_one_before(house: House) -> None:
    before, after = within(house, links.make, "alice"), within(house, links.make, "alice")
    assert gone(house, before)
    assert within(house, links.whose, after) == "alice"


@pytest.mark.parametrize(("age", "is_over"), [("47 hours 59 minutes", False), ("48 hours", True)])
def test_a_link_lasts_two_days(house: House, age: str, is_over: bool) -> None:
    link = within(house, links.make, "alice")
    let_pass(house, "sign_in_links.ends_at", age)
    assert gone(house, link) if is_over else within(house, links.use, link, QUICK) == "alice"


@pytest.mark.parametrize("link", ["", "guessed", "é\0"])
def test_a_link_that_nobody_made_is_gone(house: House, link: str) -> None:
    within(house, links.make, "alice")
    assert gone(house, link)


def test_a_session_says_who_is_in_and_what_he_may_see(house: House) -> None:
    add(house, "till", Role.OPERATOR, (SHORTCODE,))
    session = within(house, sessions.begin, "till")
    assert within(house, sessions.person_of, session) == Person(
        name="till", role=Role.OPERATOR, shortcodes=frozenset({SHORTCODE})
    )
    assert in_with(house, "guessed") is None


def test_a_session_ends_when_its_user_signs_out_and_others_of_his_go_on(house: House) -> None:
    desk, phone = within(house, sessions.begin, "alice"), within(house, sessions.begin, "alice")
    within(house, sessions.end, desk)
    assert (in_with(house, desk), in_with(house, phone)) == (None, "alice")


@pytest.mark.parametrize(("idle", "who"), [("29 minutes 50 seconds", "alice"), ("30 minutes", None)])
def test_a_session_that_nobody_uses_is_over_after_half_an_hour(
    house: House, idle: str, who: str | None
) -> None:
    session = within(house, sessions.begin, "alice")
    let_pass(house, "sessions.seen_at", idle)
    assert in_with(house, session) == who


def test_a_session_in_use_goes_on_until_the_day_is_over(house: House) -> None:
    session = within(house, sessions.begin, "alice")
    for _ in range(3):
        let_pass(house, "sessions.seen_at", "29 minutes")
        assert in_with(house, session) == "alice"
    let_pass(house, "sessions.begun_at", "11 hours 59 minutes")
    assert in_with(house, session) == "alice"
    let_pass(house, "sessions.begun_at", "1 minute")
    assert in_with(house, session) is None


def test_what_a_page_does_by_itself_keeps_no_session_open(house: House) -> None:
    session = within(house, sessions.begin, "alice")
    for _ in range(2):
        let_pass(house, "sessions.seen_at", "14 minutes")
        assert in_with(house, session, by_himself=False) == "alice"
    let_pass(house, "sessions.seen_at", "2 minutes")
    assert in_with(house, session, by_himself=False) is None
    assert in_with(house, session) is None


def test_a_session_is_written_once_a_minute_and_shown_with_its_user(house: House) -> None:
    session = within(house, sessions.begin, "alice")
    let_pass(house, "sessions.seen_at", "50 seconds")
    before = within(house, users.named, "alice").seen_at
    in_with(house, session)
    assert within(house, users.named, "alice").seen_at == before
    let_pass(house, "sessions.seen_at", "11 seconds")
    in_with(house, session)
    after = within(house, users.named, "alice").seen_at
    assert before is not None
    assert after is not None
    assert after > before


def test_sessions_that_are_over_are_swept_by_the_next(house: House) -> None:
    within(house, sessions.begin, "alice")
    let_pass(house, "sessions.seen_at", "31 minutes")
    within(house, sessions.begin, "alice")
    let_pass(house, "sessions.begun_at", "13 hours")
    session = within(house, sessions.begin, "alice")
    assert row(house, "SELECT count(*) FROM sessions") == {"count": 1}
    assert in_with(house, session) == "alice"
