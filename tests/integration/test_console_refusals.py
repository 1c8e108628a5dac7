"""Requests made by hand that must be refused: without a session, a form's token, or the right."""

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
import requests
from flask import Flask

from mpesa_balance import logs
from mpesa_balance.people.roles import RIGHTS, Right, Role
from ops.console.app import create_app
from tests.conftest import SHORTCODE
from tests.integration.answers import rows
from tests.integration.console_desk import Browser, Console, settings_of
from worker.house import House

pytestmark = pytest.mark.console

#: What stands in the addresses of views, where it names something.
FILLED = {
    "shortcode": SHORTCODE,
    "request_id": UUID(int=1),
    "query_id": UUID(int=2),
    "alert_id": UUID(int=3),
    "reconciliation_id": UUID(int=4),
    "token_id": UUID(int=5),
    "number": 1,
    "name": "nobody",
    "link": "guessed",
    "ending": ".csv",
    "filename": "console.css",
}

#: Views that nobody has to show anything for.
OPEN = {
    *("signing.sign_in", "signing.signed_in", "signing.single_sign_on_begin"),
    *(
        "signing.single_sign_on_return",
        "signing.invited",
        "signing.joined",
        "signing.live",
        "signing.ready",
    ),
}

Way = tuple[str, str, str, Right]


@pytest.fixture
def app(house: House, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application whose views are counted; nobody is served by it."""
    # The log of this process is pytest's.
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    return create_app(settings_of(house.settings, "https://console.example.co.ke"))


@pytest.fixture
def ways(app: Flask) -> list[Way]:
    """Every page that demands something: its method, its path, its endpoint and the right."""
    return list(ways_of(app))


def ways_of(app: Flask) -> Iterator[Way]:
    with app.test_request_context(base_url="http://127.0.0.1"):
        for rule in app.url_map.iter_rules():
            right = getattr(app.view_functions[rule.endpoint], "demands", None)
            # Signing out ends what the other requests of a test come with.
            if right is None or rule.endpoint.startswith("api.") or rule.endpoint == "signing.sign_out":
                continue
            path = app.url_for(
                rule.endpoint, **{name: FILLED[name] for name in rule.arguments}, _external=False
            )
            for method in sorted((rule.methods or set()) & {"GET", "POST"}):
                yield method, path, rule.endpoint, right


def send(browser: Browser, method: str, path: str, **data: str) -> requests.Response:
    sent = browser.session.request(
        method, browser.url + path, data=data, timeout=30, allow_redirects=False, stream=True
    )
    sent.close()
    return sent


def test_every_view_says_what_it_demands_and_few_demand_nothing(app: Flask) -> None:
    views = {name: view for name, view in app.view_functions.items() if name != "static"}
    silent = {name for name, view in views.items() if not hasattr(view, "demands")}
    assert silent == {"api-docs.openapi_json"}
    assert {name for name in views.keys() - silent if views[name].demands is None} == OPEN


def test_whoever_is_not_signed_in_gets_to_the_door_only(console: Console, ways: list[Way]) -> None:
    stranger = Browser(console.url)
    token = stranger.csrf_token("/sign-in")
    assert len(ways) > 30
    for method, path, endpoint, _ in ways:
        answer = send(stranger, method, path, csrf_token=token)
        if method == "GET":
            assert (answer.status_code, endpoint) == (302, endpoint)
            assert answer.headers["Location"].startswith("/sign-in?next=")
        else:
            assert (answer.status_code, endpoint) == (401, endpoint)


@pytest.mark.parametrize("role", list(Role))
def test_nobody_does_what_his_role_does_not_allow(console: Console, ways: list[Way], role: Role) -> None:
    browser = console.browser("somebody", role, None)
    token = browser.csrf_token("/account")
    for method, path, endpoint, right in ways:
        if endpoint == "balances.events":
            continue
        refused = send(browser, method, path, csrf_token=token).status_code == 403
        assert (endpoint, refused) == (endpoint, right not in RIGHTS[role])


def test_nobody_sees_a_shortcode_that_was_not_granted_to_him(console: Console, ways: list[Way]) -> None:
    browser = console.browser("till", Role.OPERATOR, ())
    token = browser.csrf_token("/account")
    named = [way for way in ways if SHORTCODE in way[1]]
    assert len(named) >= 5
    for method, path, endpoint, _ in named:
        answer = send(browser, method, path, csrf_token=token)
        assert (endpoint, answer.status_code) == (endpoint, 403)
    for path in ("/queries?shortcode=", "/exports/file?shortcode="):
        assert send(browser, "GET", path + SHORTCODE).status_code == 403
    reconciled = {"shortcode": SHORTCODE, "begins": "2d", "ends": "1d", "csrf_token": token}
    ledger = {"ledger": ("book.csv", "time,amount,account\n2026-11-21T08:00+03:00,1,Working Account\n")}
    answer = browser.session.post(
        f"{console.url}/reconciliations", data=reconciled, files=ledger, timeout=30
    )
    assert answer.status_code == 403
    # Whether there is such a shortcode he learns neither.
    assert browser.get("/shortcodes/999999").status_code == 403


def test_no_form_is_taken_without_the_token_of_its_session(console: Console, ways: list[Way]) -> None:
    browser, other = console.browser("alice"), console.browser("bob")
    foreign = other.csrf_token("/account")
    for method, path, endpoint, _ in ways:
        if method == "POST":
            for given in ({}, {"csrf_token": "guessed"}, {"csrf_token": foreign}):
                assert (send(browser, method, path, **given).status_code, endpoint) == (400, endpoint)
    assert send(browser, "POST", "/sign-out").status_code == 400
    assert send(Browser(console.url), "POST", "/sign-in", name="alice", password="x").status_code == 400


def test_a_session_that_was_signed_out_opens_nothing_any_more(console: Console) -> None:
    browser = console.browser("alice")
    kept = dict(browser.session.cookies)
    browser.post("/sign-out")
    stolen = Browser(console.url)
    stolen.session.cookies.update(kept)
    assert stolen.get("/", allow_redirects=False).status_code == 302
    assert rows(console.house, "SELECT * FROM sessions") == []


def test_a_cookie_from_before_the_sign_in_is_not_let_in_after_it(console: Console) -> None:
    console.browser("alice")
    victim = Browser(console.url)
    victim.csrf_token("/sign-in")
    planted = dict(victim.session.cookies)
    victim.sign_in("alice")
    assert victim.get("/account", allow_redirects=False).status_code == 200
    thief = Browser(console.url)
    thief.session.cookies.update(planted)
    assert thief.get("/account", allow_redirects=False).status_code == 302


def test_a_wrong_password_and_an_unknown_name_are_refused_in_the_same_words(console: Console) -> None:
    console.browser("alice")
    told = []
    for name in ("alice", "nobody"):
        answer = Browser(console.url).sign_in(name, "not the password")
        assert answer.status_code == 401
        told.append(re.findall(r'role="alert"[^>]*>([^<]+)', answer.text))
    assert told[0] == told[1] != []


def test_who_guesses_too_often_is_refused_also_with_the_right_password(console: Console) -> None:
    console.browser("alice")
    guesser = Browser(console.url)
    assert [guesser.sign_in("alice", "no").status_code for _ in range(5)] == [401] * 5
    answer = guesser.sign_in("alice")
    assert answer.status_code == 429
    assert "wait 15 minutes" in answer.text


def test_the_way_back_leads_to_a_page_of_ours_only(console: Console) -> None:
    console.browser("alice")
    for wanted, led in (("/queries", "/queries"), ("//evil.example", "/"), ("https://evil.example", "/")):
        browser = Browser(console.url)
        browser.get("/sign-in", params={"next": wanted})
        assert browser.sign_in("alice").url == console.url + led


def test_a_disabled_user_is_out_at_his_next_click(console: Console) -> None:
    administrator, browser = console.browser("alice"), console.browser("bob", Role.VIEWER)
    assert administrator.post("/people/bob/disable").status_code == 200
    assert browser.get("/account", allow_redirects=False).status_code == 302
    assert browser.sign_in("bob").status_code == 401


def test_another_name_of_the_host_is_refused(console: Console) -> None:
    answer = requests.get(f"{console.url}/sign-in", headers={"Host": "evil.example"}, timeout=10)
    assert answer.status_code == 400
    assert "CONSOLE_URL" in answer.text


def test_every_answer_forbids_what_strangers_could_bring_into_a_page(console: Console) -> None:
    browser = console.browser("alice")
    for path in ("/", "/nothing", "/sign-in", "/people/nobody", "/api/v1/balances", "/static/console.css"):
        headers = browser.get(path).headers
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == ("public, max-age=3600" if "static" in path else "no-store")


def test_over_https_the_cookie_is_for_this_host_and_for_https_only(app: Flask) -> None:
    answer = app.test_client().get("/sign-in", base_url="https://console.example.co.ke")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-console=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "max-age=63072000" in answer.headers["Strict-Transport-Security"]


def test_a_file_that_is_too_large_is_refused_before_it_is_read(console: Console) -> None:
    browser = console.browser("alice")
    token = browser.csrf_token("/account")
    answer = browser.session.post(
        f"{console.url}/reconciliations",
        data={"csrf_token": token},
        files={"ledger": ("book.csv", b"0" * (21 * 1024 * 1024))},
        timeout=30,
    )
    assert answer.status_code == 413
    assert "20 MiB" in answer.text
