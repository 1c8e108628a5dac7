"""Signing in by a password: who gets in, how often anybody may guess, and what changes meanwhile."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest

from mpesa_balance.database import Database
from mpesa_balance.errors import NotSignedIn
from mpesa_balance.people import password_hashes, sessions, signing_in, users
from mpesa_balance.people.bearers import digest
from mpesa_balance.people.signing_in import (
    MOST_OF_ADDRESS,
    MOST_OF_BOTH,
    MOST_OF_NAME,
    WINDOW_MINUTES,
    TooManyAttempts,
)
from mpesa_balance.settings import DatabaseSettings
from tests.integration.answers import row, rows
from tests.integration.console_desk import HASHED, PASSWORD
from tests.integration.peopled import QUICK, add, let_pass, within
from tests.waiting import eventually
from worker.house import House

pytestmark = pytest.mark.console

HERE = "192.0.2.1"


@pytest.fixture(autouse=True)
def _people(house: House) -> None:
    add(house, "root")
    add(house, password=True)


def sign_in(house: House, name: str = "alice", password: str = PASSWORD, address: str = HERE) -> str:
    return signing_in.by_password(house.database, name, password, address)


def outcome(house: House, name: str = "alice", password: str = PASSWORD, address: str = HERE) -> str:
    """How an attempt ends: with a name, or with the kind of its refusal."""
    try:
        return sign_in(house, name, password, address)
    except NotSignedIn as refused:
        return type(refused).__name__


def failed(house: House, most: int, name: str = "'alice'", address: str = f"'{HERE}'") -> None:
    """Let so many attempts have failed; a name or an address with an n in it differs each time."""
    told = f"sha256(({name})::bytea), {address}"
    statement = f"INSERT INTO sign_in_attempts (name_digest, address) SELECT {told} FROM "
    rows(house, statement + "generate_series(1, %s) n RETURNING id", most)


def test_who_has_the_password_gets_in_however_he_writes_his_name(house: House) -> None:
    assert [sign_in(house, name) for name in ("alice", " Alice ", "ALICE")] == ["alice"] * 3


def test_every_refusal_says_the_same(house: House) -> None:
    """Whoever guesses learns neither whether there is such a name nor whether it is disabled."""
    add(house, "carol", password=True)
    within(house, users.disable, "carol")
    refusals = set()
    for name, password in (
        *(("alice", "wrong"), ("alice", ""), ("alice", PASSWORD.upper()), ("alice", PASSWORD + " ")),
        *(("alice", PASSWORD + "x" * 5000), ("nobody", PASSWORD), ("root", PASSWORD), ("root", "")),
        *(("carol", PASSWORD), ("alice\0", PASSWORD), ("a" * 5000, PASSWORD), ("", PASSWORD)),
    ):
        with pytest.raises(NotSignedIn) as refused:
            sign_in(house, name, password, f"{HERE}{len(refusals)}{name[:5]}{password[-5:]}")
        refusals.add((type(refused.value), str(refused.value)))
    ((kind, sentence),) = refusals
    assert kind is NotSignedIn
    assert sentence.startswith("name and password do not belong together, or the account is disabled")


def test_after_some_wrong_guesses_not_even_the_right_one_is_looked_at(house: House) -> None:
    wrong = [outcome(house, password="wrong") for _ in range(MOST_OF_BOTH)]
    assert set(wrong) == {"NotSignedIn"}
    with pytest.raises(TooManyAttempts, match=f"wait {WINDOW_MINUTES} minutes"):
        sign_in(house)
    assert outcome(house, address="192.0.2.2") == "alice"
    assert outcome(house, "nobody") == "NotSignedIn"


def test_names_that_nobody_has_are_bounded_alike(house: House) -> None:
    failed(house, MOST_OF_BOTH - 1, "'nobody'")
    assert [outcome(house, "nobody") for _ in range(2)] == ["NotSignedIn", "TooManyAttempts"]


@pytest.mark.parametrize(
    ("most", "name", "address"),
    [
        (MOST_OF_BOTH, "'alice'", f"'{HERE}'"),
        (MOST_OF_ADDRESS, "'guess-' || n", f"'{HERE}'"),
        (MOST_OF_NAME, "'alice'", "'192.0.2.' || n + 1"),
    ],
    ids=["of both", "of one address", "of one name"],
)
def test_so_many_may_fail_in_the_window_and_no_more(
    house: House, most: int, name: str, address: str
) -> None:
    failed(house, most - 1, name, address)
    assert outcome(house, password="wrong") == "NotSignedIn"
    assert outcome(house) == "TooManyAttempts"
    let_pass(house, "sign_in_attempts.tried_at", f"{WINDOW_MINUTES - 1} minutes 50 seconds")
    assert outcome(house) == "TooManyAttempts"
    let_pass(house, "sign_in_attempts.tried_at", "11 seconds")
    assert outcome(house) == "alice"
    assert rows(house, "SELECT FROM sign_in_attempts") == []


def test_a_refusal_without_a_look_does_not_make_the_wait_longer(house: House) -> None:
    failed(house, MOST_OF_BOTH)
    let_pass(house, "sign_in_attempts.tried_at", f"{WINDOW_MINUTES - 1} minutes")
    assert outcome(house) == "TooManyAttempts"
    assert row(house, "SELECT count(*) FROM sign_in_attempts") == {"count": MOST_OF_BOTH}


def test_who_gets_in_is_forgiven_what_he_mistyped_there_and_nobody_else_is(house: House) -> None:
    failed(house, MOST_OF_BOTH - 1)
    failed(house, MOST_OF_BOTH - 1, address="'192.0.2.2'")
    failed(house, MOST_OF_BOTH - 1, name="'root'")
    assert outcome(house) == "alice"
    left = rows(house, "SELECT name_digest, address, count(*) FROM sign_in_attempts GROUP BY 1, 2")
    assert sorted(left, key=lambda one: str(one["address"])) == [
        {"name_digest": digest("root"), "address": HERE, "count": MOST_OF_BOTH - 1},
        {"name_digest": digest("alice"), "address": "192.0.2.2", "count": MOST_OF_BOTH - 1},
    ]


def test_what_was_typed_as_a_name_is_stored_nowhere(house: House) -> None:
    """People type their password there."""
    assert outcome(house, PASSWORD, "alice") == "NotSignedIn"
    for table in ("sign_in_attempts", "users", "audit"):
        assert PASSWORD not in str(rows(house, f"SELECT t::text FROM {table} t"))


def test_ones_own_account_buys_no_further_guesses_at_others(house: House) -> None:
    failed(house, MOST_OF_BOTH - 1, "'root'")
    guesses = []
    for _ in range(2):
        assert outcome(house) == "alice"
        guesses.append(outcome(house, "root", "guess"))
    assert guesses == ["NotSignedIn", "TooManyAttempts"]


@pytest.fixture
def crowd(house: House, database_url: str) -> Iterator[Database]:
    """The database as a process sees it that many come to at once."""
    settings = DatabaseSettings(database_url=database_url, sealer=house.database.sealer, pool_size=10)
    with closing(Database(settings)) as made:
        yield made


def waiting(house: House) -> int:
    found = row(house, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return int(found["count"])


def test_of_many_guesses_at_once_no_more_get_through_than_may(house: House, crowd: Database) -> None:
    many = MOST_OF_BOTH + 4

    def guess(_: int) -> type[NotSignedIn]:
        with pytest.raises(NotSignedIn) as refused:
            signing_in.by_password(crowd, "alice", "wrong", HERE)
        return type(refused.value)

    with ThreadPoolExecutor(many) as threads:
        with house.database.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('sign-in', 0))")
            guesses = [threads.submit(guess, number) for number in range(many)]
            eventually(lambda: waiting(house) == many)
        ended = [one.result() for one in guesses]
    assert ended.count(NotSignedIn) == MOST_OF_BOTH
    assert ended.count(TooManyAttempts) == many - MOST_OF_BOTH


def while_compared(house: House, act: Callable[[], object]) -> str:
    """How an attempt ends when something is done after it began and before its password is compared."""
    with ThreadPoolExecutor(1) as thread:
        with password_hashes._AT_ONCE, password_hashes._AT_ONCE:
            attempt: Future[str] = thread.submit(outcome, house)
            eventually(lambda: row(house, "SELECT count(*) FROM sign_in_attempts")["count"])
            act()
        return attempt.result(timeout=10)


def test_a_password_that_is_replaced_while_it_is_compared_lets_nobody_in(house: House) -> None:
    after = "$argon2id$of another password"
    ended = while_compared(house, lambda: within(house, signing_in.set_password, "alice", after))
    assert ended == "NotSignedIn"
    assert row(house, "SELECT password_hash FROM users WHERE name = 'alice'") == {"password_hash": after}


def test_who_is_disabled_while_his_password_is_compared_does_not_get_in(house: House) -> None:
    assert while_compared(house, lambda: within(house, users.disable, "alice")) == "NotSignedIn"


def test_a_hash_of_weaker_parameters_is_made_anew_and_a_strong_one_stays(house: House) -> None:
    kept = "SELECT password_hash FROM users WHERE name = 'alice'"
    assert row(house, kept) == {"password_hash": QUICK}
    sign_in(house)
    stronger = row(house, kept)["password_hash"]
    assert stronger.startswith("$argon2id$v=19$m=65536,t=3,")
    sign_in(house)
    assert row(house, kept) == {"password_hash": stronger}


def test_another_password_ends_all_sessions_of_its_user(house: House) -> None:
    hers, roots = within(house, sessions.begin, "alice"), within(house, sessions.begin, "root")
    within(house, signing_in.set_password, "alice", HASHED)
    assert within(house, sessions.person_of, hers) is None
    assert within(house, sessions.person_of, roots) is not None


ISSUER = "https://id.example.co.ke"


def by_single_sign_on(house: House, name: str, subject: str) -> str:
    return within(house, signing_in.by_single_sign_on, name, f"{ISSUER} {subject}")


def test_the_first_subject_that_comes_with_a_name_keeps_it(house: House) -> None:
    assert by_single_sign_on(house, " Alice ", "1") == "alice"
    assert within(house, users.named, "alice").has_single_sign_on
    assert not within(house, users.named, "root").has_single_sign_on
    assert by_single_sign_on(house, "alice", "1") == "alice"
    with pytest.raises(NotSignedIn, match="ask an administrator to add you"):
        by_single_sign_on(house, "alice", "2")


def test_a_subject_has_one_account(house: House) -> None:
    by_single_sign_on(house, "alice", "1")
    with pytest.raises(NotSignedIn, match="knew you by another name before"):
        by_single_sign_on(house, "root", "1")
    assert not within(house, users.named, "root").has_single_sign_on


@pytest.mark.parametrize("name", ["nobody", "", "alice\0", "carol"])
def test_who_has_no_account_or_a_disabled_one_does_not_get_in_by_single_sign_on(
    house: House, name: str
) -> None:
    add(house, "carol")
    within(house, users.disable, "carol")
    with pytest.raises(NotSignedIn, match="ask an administrator to add you"):
        by_single_sign_on(house, name, "1")
    assert rows(house, "SELECT FROM users WHERE oidc_subject IS NOT NULL") == []
