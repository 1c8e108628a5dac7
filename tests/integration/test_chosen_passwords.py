"""Passwords that people choose: which are refused and in what words, and what is kept of the others."""

import pytest

from mpesa_balance.errors import RequestRefused
from mpesa_balance.people import administration, links, password_hashes, sessions, signing_in
from mpesa_balance.people.password_hashes import LONGEST, SHORTEST, hashed, is_right
from mpesa_balance.people.roles import Role
from tests.integration.answers import rows
from tests.integration.console_desk import HASHED, PASSWORD
from tests.integration.peopled import QUICK, within
from worker.house import House

pytestmark = pytest.mark.console

ADDRESS = "wanjiru.otieno@acme.co.ke"


def refusal(password: str, name: str = "alice") -> str:
    """What is said about a password, which is never in it."""
    with pytest.raises(RequestRefused) as refused:
        hashed(password, name)
    (sentence,) = refused.value.violations
    assert len(password) < 5 or password not in sentence
    return sentence


@pytest.mark.parametrize(
    "password", ["", "tr0ub4dor&3", "x" * (SHORTEST - 1), "x" * (LONGEST + 1), "x" * 10**6]
)
def test_a_password_is_not_too_short_and_not_too_long(password: str) -> None:
    assert refusal(password) == "a password has 12 to 200 characters: a sentence is a good one"


@pytest.mark.parametrize(
    "password",
    [
        *("password1234", "qwertyuiop123", "abcdefghijklmnop", "x" * LONGEST, " " * SHORTEST),
        *("passpasspasspass", "iloveyou2026", "M-PESA M-PESA", "safaricom2026"),
        "mpesa balance safaricom",
    ],
)
def test_what_would_be_guessed_is_refused_with_advice(password: str) -> None:
    assert refusal(password).startswith("this password would be guessed: ")
    assert refusal(password).endswith(".")


@pytest.mark.parametrize(
    "password",
    [
        *(ADDRESS, ADDRESS.upper(), f"{ADDRESS}1", "wanjiru.otieno", "WanjiruOtieno1", "otieno-wanjiru-1"),
        *("wanjiru otieno acme", "wanjiruwanjiru", "wanjiru123456", "otieno at mpesa"),
    ],
)
def test_the_users_own_name_makes_no_password(password: str) -> None:
    assert refusal(password, ADDRESS).startswith("this password would be guessed: ")


def test_a_sentence_with_ones_name_in_it_is_a_password() -> None:
    sentence = "wanjiru buys seventeen zebras at noon"
    assert is_right(hashed(sentence, ADDRESS), sentence)


@pytest.mark.parametrize(
    "password", ["sixty purple goats" * 11, "ndege wangu wa bluu 🦓", "correct horse battery"]
)
def test_the_whole_of_a_long_password_counts(password: str) -> None:
    kept = hashed(password, "alice")
    assert is_right(kept, password)
    assert not is_right(kept, password[:-1])
    assert not is_right(kept, password + "x")


def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own() -> None:
    """64 MiB and three passes, as RFC 9106 has it where memory is scarce."""
    assert HASHED.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert hashed(PASSWORD, "anybody") != HASHED


def test_where_there_is_no_password_none_is_right() -> None:
    assert not is_right(None, "nobody's password")
    assert not is_right(None, "")
    assert password_hashes.renewed(None, PASSWORD) is None


def test_no_table_holds_what_lets_somebody_in(house: House) -> None:
    path = within(house, administration.add, "root", "alice", Role.ADMINISTRATOR, None)
    used = path.removeprefix(administration.WELCOME)
    within(house, links.use, used, QUICK)
    link = within(house, administration.link, "root", "alice").removeprefix(administration.WELCOME)
    session = within(house, sessions.begin, "alice")
    token = within(house, administration.make_token, "root", "alice", "export", 1)
    wrong = "seventeen zebras at nine"
    with pytest.raises(signing_in.NotSignedIn):
        signing_in.by_password(house.database, "alice", wrong, "192.0.2.1")
    tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    names = [found["relname"] for found in rows(house, tables)]
    stored = {name: str(rows(house, f"SELECT t::text FROM {name} t")) for name in names}
    # What was kept can be found so.
    assert QUICK in stored["users"]
    assert password_hashes.is_right(QUICK, PASSWORD)
    for secret in (used, link, session, token, wrong, PASSWORD):
        forms = (secret, secret.encode().hex())
        assert [name for name, text in stored.items() if any(form in text for form in forms)] == []
