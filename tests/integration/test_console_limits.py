"""What strangers and slow or greedy people may take of the console, and what it tells them of itself."""

from dataclasses import replace

import pytest
import requests

from mpesa_balance import logs
from mpesa_balance.people.roles import Role
from ops.console.app import create_app
from ops.console.changes import MOST_OF_ONE
from ops.stack import first_user
from tests.conftest import SHORTCODE
from tests.integration.answers import rows
from tests.integration.console_desk import Browser, Console, settings_of
from tests.integration.test_console_changes import events, mark, move
from worker.house import House

pytestmark = pytest.mark.console


def test_a_form_of_a_stranger_is_not_read_further_than_any_is_long(console: Console) -> None:
    large = "name=" + "a" * 300_000
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(f"{console.url}/sign-in", data=large, headers=form, timeout=10)
    assert answer.status_code == 413
    assert "256 KiB" in answer.text


def test_a_ledger_of_a_stranger_is_not_read_at_all(console: Console) -> None:
    ledger = {"ledger": ("book.csv", b"0" * 1_000_000)}
    assert requests.post(f"{console.url}/reconciliations", files=ledger, timeout=10).status_code == 401


def test_a_ledger_may_be_larger_than_other_forms_and_a_field_of_it_may_not(console: Console) -> None:
    browser = console.browser("alice")
    given = {"csrf_token": browser.csrf_token("/account")}
    url, ledger = f"{console.url}/reconciliations", {"ledger": ("book.csv", b"0" * 1_000_000)}
    assert browser.session.post(url, data=given, files=ledger, timeout=30).status_code == 422
    greedy = given | {"account": "a" * 300_000}
    assert browser.session.post(url, data=greedy, files=ledger, timeout=30).status_code == 413


def test_a_stranger_is_not_told_where_the_stores_are(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    settings = settings_of(house.settings, "http://127.0.0.1:1")
    away = replace(settings.database, database_url="postgresql://treasury@127.0.0.1:1/secret_name")
    client = create_app(replace(settings, database=away)).test_client()
    for path in ("/health/ready", "/welcome/guessed", "/api/v1/balances"):
        answer = client.get(path, headers={"Authorization": "Bearer guessed"})
        assert answer.status_code == 503
        assert "a store of the console is away" in answer.text
        assert not {word for word in ("127.0.0.1", "treasury", "secret_name") if word in answer.text}


def test_an_export_is_found_by_each_shortcode_that_is_in_it_with_its_period(console: Console) -> None:
    browser = console.browser("till", Role.VIEWER, (SHORTCODE,))
    assert browser.get("/exports/file?what=queries&since=2026-11-01").status_code == 200
    (entry,) = rows(console.house, "SELECT subject, detail FROM audit WHERE action = 'exported'")
    assert entry["subject"] == SHORTCODE
    assert entry["detail"] == "queries as .csv, since 2026-10-31T21:00:00+00:00"


def test_a_stream_ends_for_whoever_is_disabled(console: Console) -> None:
    house = console.house
    administrator = console.browser("alice")
    heard = events(console.browser("bob", Role.VIEWER), mark(house))
    move(house, SHORTCODE)
    assert next(heard) == SHORTCODE
    administrator.post("/people/bob/disable")
    move(house, SHORTCODE)
    assert list(heard) == []


def test_nobody_follows_with_so_many_pages_that_others_cannot(console: Console) -> None:
    browser = console.browser("alice")
    streams = [browser.get("/events?mark=0", stream=True) for _ in range(MOST_OF_ONE)]
    beginnings = [next(stream.iter_content(1)) for stream in streams]
    assert beginnings == [b"r"] * MOST_OF_ONE
    # One more is told what there is, and comes again.
    assert b": still here" in b"".join(browser.get("/events?mark=0", stream=True).iter_content())
    heard = events(console.browser("bob"), mark(console.house))
    move(console.house, SHORTCODE)
    assert next(heard) == SHORTCODE


@pytest.mark.parametrize(
    "path",
    [
        f"/shortcodes/{SHORTCODE}/course?until=0001-01-01",
        f"/shortcodes/{SHORTCODE}/course?since=0001-01-01T00:00:00%2B14:00",
        "/exports/file?since=9999-12-31",
    ],
)
def test_a_year_in_which_nothing_can_lie_is_no_time(console: Console, path: str) -> None:
    answer = console.browser("alice").get(path)
    assert answer.status_code == 422
    assert "is no time" in answer.text


def test_the_first_link_is_for_an_administrator_whom_nobody_is_yet(console: Console) -> None:
    console.add("root")
    settings = {
        "SEALING_KEYS": f"any:{'A' * 43}=",
        "DATABASE_URL": console.house.settings.database.database_url,
        "CONSOLE_URL": console.url,
    }
    assert "'root'" in first_user.entrance(settings)
    rows(console.house, "UPDATE users SET disabled_at = now() RETURNING name")
    said = first_user.entrance(settings)
    assert "'admin'" in said
    assert Browser(console.url).get(said.split()[0].removeprefix(console.url)).status_code == 200
    rows(console.house, "UPDATE users SET disabled_at = now() RETURNING name")
    assert "'admin-2'" in first_user.entrance(settings)
    rows(console.house, "UPDATE users SET password_hash = 'x' RETURNING name")
    assert first_user.entrance(settings) == console.url
