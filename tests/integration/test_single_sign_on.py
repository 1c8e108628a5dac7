"""Single sign-on over real HTTP with a provider that is nobody's: who gets in, who does not, what leaks."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from mpesa_balance import logs
from mpesa_balance.audit import Action
from mpesa_balance.people import administration
from mpesa_balance.people.roles import Role
from ops.console import single_sign_on
from tests.fakes import silent_server
from tests.integration.answers import row, rows
from tests.integration.console_desk import Browser, Console, answering
from tests.integration.provider_desk import (
    ALICE,
    PROVIDERS,
    SECRET,
    Document,
    Provider,
    agree,
    answering_provider,
    come,
    inside,
    refused,
    way_back,
)
from tests.integration.trail import trail
from worker.house import House

pytestmark = [
    pytest.mark.console,
    pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning:authlib"),
]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with answering_provider() as made:
        made.knows("sub-1")
        yield made


@pytest.fixture
def console(house: House, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A console that alice has an account in, and no password."""
    # The log of this process is pytest's.
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    with answering(house, provider.settings()) as served:
        served.add(ALICE)
        yield served


def test_somebody_whom_the_console_knows_gets_in_and_that_is_on_record(console: Console) -> None:
    page = come(console)
    assert (page.status_code, page.url) == (200, f"{console.url}/")
    (entry,) = trail(console.house, action=Action.SIGNED_IN)
    assert (entry.actor, entry.subject, entry.detail) == (f"console:{ALICE}", ALICE, "single sign-on")


def test_the_provider_may_write_the_name_in_capitals(console: Console, provider: Provider) -> None:
    provider.knows("sub-1", email="Alice@Example.COM")
    assert come(console).url == f"{console.url}/"


def test_the_same_subject_gets_in_again(console: Console) -> None:
    assert [come(console).url for _ in range(2)] == [f"{console.url}/"] * 2


def test_a_name_that_the_console_does_not_know_is_refused(console: Console, provider: Provider) -> None:
    provider.knows("sub-2", email="mallory@example.com")
    refused(console, come(console, "sub-2"), "ask an administrator to add you")


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_nobody_verified_is_refused_and_keeps_no_account(
    console: Console, provider: Provider, verified: object
) -> None:
    provider.knows("sub-2", email_verified=verified)
    refused(console, come(console, "sub-2"), "has not verified your e-mail address")
    assert row(console.house, "SELECT oidc_subject FROM users") == {"oidc_subject": None}


def test_a_provider_that_does_not_say_who_it_is_is_refused(console: Console, provider: Provider) -> None:
    provider.knows("sub-1", email=["alice@example.com"])
    refused(console, come(console), "sends no email")


def test_another_subject_with_the_same_name_is_refused(console: Console, provider: Provider) -> None:
    come(console)
    provider.knows("sub-2")
    rows(console.house, "DELETE FROM sessions RETURNING user_name")
    refused(console, come(console, "sub-2"), "ask an administrator")
    assert come(console).url == f"{console.url}/"


def test_a_subject_that_comes_with_the_name_of_another_account_is_refused(
    console: Console, provider: Provider
) -> None:
    come(console)
    rows(console.house, "DELETE FROM sessions RETURNING user_name")
    console.add("bob@example.com")
    provider.knows("sub-1", email="bob@example.com")
    refused(console, come(console), "ask an administrator")


def test_a_disabled_user_is_refused(console: Console) -> None:
    console.add("bob")
    with console.house.database.transaction() as connection:
        administration.disable(connection, "test", ALICE)
    refused(console, come(console), "ask an administrator")


def test_a_name_of_another_claim_needs_no_verified_address(
    house: House, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    provider.knows("sub-1", preferred_username="alice", email_verified=False)
    with answering(house, provider.settings("preferred_username")) as served:
        served.add("alice", Role.VIEWER, ())
        assert come(served).url == f"{served.url}/"


def test_a_state_that_nobody_was_given_is_refused(console: Console) -> None:
    forged = Browser(console.url).get("/sign-in/single/return?code=abc&state=forged")
    refused(console, forged, "begin again from the page to sign in")


def test_a_way_back_of_another_browser_signs_nobody_in(console: Console) -> None:
    """Else mallory could sign a victim in as mallory, and read what he does there."""
    mallory, victim = Browser(console.url), Browser(console.url)
    location = way_back(mallory)
    way_back(victim)
    refused(console, victim.session.get(location, timeout=30), "begin again")


def test_a_way_back_works_once(console: Console) -> None:
    browser = Browser(console.url)
    location = way_back(browser)
    assert browser.session.get(location, timeout=30).url == f"{console.url}/"
    assert browser.session.get(location, timeout=30).status_code == 401


def test_who_says_no_at_the_provider_is_told_to_begin_again(console: Console) -> None:
    browser = Browser(console.url)
    form = browser.get("/sign-in/single").url
    refused(console, browser.session.post(form, data={"action": "deny"}, timeout=30), "begin again")


@pytest.mark.parametrize(
    "forged",
    [
        lambda tokens: {name: value for name, value in tokens.items() if name != "id_token"},
        lambda tokens: tokens | {"id_token": tokens["id_token"][:-8] + "AAAAAAAA"},
        lambda tokens: tokens | {"id_token": "no token"},
    ],
    ids=["missing", "signed by another", "unreadable"],
)
def test_an_identity_that_the_provider_did_not_sign_is_refused(
    console: Console, provider: Provider, forged: Callable[[Document], Document]
) -> None:
    provider.forged = forged
    refused(console, come(console), "single sign-on did not work")


def test_an_identity_of_an_earlier_sign_in_is_refused(console: Console, provider: Provider) -> None:
    come(console)
    rows(console.house, "DELETE FROM sessions RETURNING user_name")
    provider.forged = lambda tokens: tokens | {"id_token": provider.gave[0]["id_token"]}
    refused(console, come(console), "single sign-on did not work")


def test_a_code_is_worth_nothing_without_what_we_keep(console: Console, provider: Provider) -> None:
    sent = parse_qs(urlsplit(come(console).history[0].url).query)
    (asked,) = provider.asked
    hashed = hashlib.sha256(asked["code_verifier"].encode()).digest()
    assert sent["code_challenge_method"] == ["S256"]
    assert sent["code_challenge"] == [base64.urlsafe_b64encode(hashed).decode().rstrip("=")]


def test_a_provider_that_is_away_is_no_fault_of_ours(console: Console, provider: Provider) -> None:
    provider.status = 502
    refused(console, come(console), "the provider of single sign-on does not answer", 503)


def test_a_provider_that_cannot_be_reached_is_no_fault_of_ours(console: Console, house: House) -> None:
    with answering(house, Provider("http://127.0.0.1:1").settings()) as served:
        refused(served, Browser(served.url).get("/sign-in/single"), "does not answer", 503)


def test_nobody_waits_for_ever_for_a_provider_that_says_nothing(
    console: Console, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_sign_on, "_PATIENCE", 0.1)
    with silent_server() as port:
        silent = Provider(f"http://127.0.0.1:{port}").settings()
        with answering(house, silent) as served:
            refused(served, Browser(served.url).get("/sign-in/single"), "does not answer", 503)


def test_who_wanted_a_page_is_led_to_it(console: Console) -> None:
    browser = Browser(console.url)
    browser.get("/people?x=1&y=%C3%A9")
    assert agree(browser, "sub-1").url == f"{console.url}/people?x=1&y=%C3%A9"


@pytest.mark.parametrize(
    "elsewhere",
    [
        *("https://evil.invalid/", "//evil.invalid/", "/\\evil.invalid/", "\\\\evil.invalid/"),
        *("/\t/evil.invalid/", "\t//evil.invalid/", "evil.invalid", "javascript:alert(1)"),
    ],
)
def test_nobody_is_led_to_another_host(console: Console, elsewhere: str) -> None:
    browser = Browser(console.url)
    browser.get("/sign-in", params={"next": elsewhere})
    assert agree(browser, "sub-1").url == f"{console.url}/"


def test_single_sign_on_is_offered_where_there_is_a_provider(console: Console, house: House) -> None:
    with answering(house) as without:
        assert "/sign-in/single" in Browser(console.url).get("/sign-in").text
        assert "/sign-in/single" not in Browser(without.url).get("/sign-in").text
        for path in ("/sign-in/single", "/sign-in/single/return?code=a&state=b"):
            refused(without, Browser(without.url).get(path), "not set up here")


def test_no_secret_of_the_provider_is_in_a_log_an_answer_a_cookie_or_postgres(
    console: Console, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    browser = Browser(console.url)
    page = agree(browser, "sub-1")
    (gave,) = provider.gave
    secrets = {SECRET, gave["access_token"], gave["refresh_token"], gave["id_token"]}
    told = [str(vars(one)) for one in caplog.records if not one.name.startswith(PROVIDERS)]
    ours = [one for one in (*page.history, page) if one.url.startswith(console.url)]
    answers = [one.text + str(one.headers) for one in ours]
    cookies = [inside(str(one.value)) for one in browser.session.cookies if one.name == "console"]
    tables = ("users", "sessions", "audit", "sign_in_attempts")
    stored = [str(rows(console.house, f"SELECT t::text FROM {table} t")) for table in tables]
    assert told
    assert len(answers) == 2
    assert len(cookies) == 1
    for text in (*told, *answers, *cookies, *stored):
        assert [secret for secret in secrets if secret in text] == []
