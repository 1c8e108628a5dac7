"""What people do in the console: inbox, alerts, reconciliation, exports, people, their own account."""

import csv
import io
import json
import re
from uuid import uuid4

import pytest

from mpesa_balance.people.roles import Role
from tests.conftest import SHORTCODE, open_query
from tests.integration.alerting import add_rule, of, opened, seen
from tests.integration.answers import begin, delivery, record, row, rows, success
from tests.integration.console_desk import PASSWORD, Browser, Console
from tests.integration.test_reconciliations import CLOSING, LEDGER, OPENING
from worker import callbacks
from worker.house import House

pytestmark = pytest.mark.console


def unmatched(house: House) -> int:
    """A callback whose attempt is gone."""
    callbacks.record(house, [delivery(house, uuid4(), success())])
    return int(row(house, "SELECT id FROM callbacks WHERE disposition = 'unmatched'")["id"])


def actions(house: House, actor: str = "console:alice") -> list[tuple[str, str]]:
    found = rows(house, "SELECT action, subject FROM audit WHERE actor = %s ORDER BY id", actor)
    return [(one["action"], one["subject"]) for one in found if not one["action"].startswith("signed")]


def test_a_callback_is_found_in_the_inbox_shown_on_record_and_judged_again(console: Console) -> None:
    number = unmatched(console.house)
    browser = console.browser("alice", Role.OPERATOR)
    assert f"/inbox/{number}" in browser.get("/inbox").text
    assert "700000.00" not in browser.get(f"/inbox/{number}").text
    assert "700000.00" in browser.post(f"/inbox/{number}/payload").text
    assert "unmatched → unmatched" in browser.post(f"/inbox/{number}/replay").text
    subject = f"callback {number}"
    assert actions(console.house) == [("payload_shown", subject), ("callback_replayed", subject)]
    assert row(console.house, "SELECT replayed_by FROM callback_replays") == {"replayed_by": "alice"}


def test_what_belongs_to_no_shortcode_is_for_those_who_see_all(console: Console) -> None:
    number = unmatched(console.house)
    browser = console.browser("till", Role.OPERATOR, (SHORTCODE,))
    assert f"/inbox/{number}" not in browser.get("/inbox").text
    for path in (f"/inbox/{number}/payload", f"/inbox/{number}/replay"):
        assert browser.post(path).status_code == 404
    assert rows(console.house, "SELECT FROM callback_replays") == []


def test_an_alert_is_seen_and_known_by_whom_it_concerns(console: Console) -> None:
    house = console.house
    add_rule(house, "below", threshold="500")
    assert seen(house, of("400.00")) == [("below", "Working Account")]
    alert_id = row(house, "SELECT id FROM alerts")["id"]
    stranger = console.browser("till", Role.OPERATOR, ())
    assert "400.00" not in stranger.get("/alerts").text
    assert stranger.post(f"/alerts/{alert_id}/acknowledge").status_code == 404
    browser = console.browser("alice", Role.OPERATOR)
    assert "400.00" in browser.get("/alerts").text
    assert "1 alert" in browser.get("/").text
    assert "to alice" in browser.post(f"/alerts/{alert_id}/acknowledge").text
    assert opened(house) == [("below", "Working Account")]


def test_however_many_alerts_others_have_his_own_are_seen(console: Console) -> None:
    house = console.house
    add_rule(house, "below", threshold="500")
    assert seen(house, of("400.00")) == [("below", "Working Account")]
    rows(
        house,
        "INSERT INTO alerts (id, rule_id, kind, shortcode, account, since, raised_at, detail) "
        "SELECT gen_random_uuid(), rule_id, kind, NULL, n, since, now() + interval '1 s', detail "
        "FROM alerts, generate_series(1, 1000) n RETURNING id",
    )
    browser = console.browser("till", Role.VIEWER, (SHORTCODE,))
    assert "400.00" in browser.get("/alerts").text
    assert "1 alert" in browser.get("/").text


@pytest.fixture
def balances(house: House) -> None:
    """Two, as M-PESA told them a minute before the day began and in its evening."""
    for time, balance in (("20261120235900", OPENING), ("20261121210000", CLOSING)):
        payload = success(balance).replace(b"20261122120000", time.encode())
        record(house, begin(house, open_query(house.database)), payload)


def reconcile(browser: Browser, ledger: str = LEDGER, **changes: str) -> "tuple[int, str, str]":
    data = {
        "csrf_token": browser.csrf_token("/reconciliations"),
        "shortcode": SHORTCODE,
        "begins": "2026-11-21T00:00",
        "ends": "2026-11-22T00:00",
        "tolerance": "0",
    } | changes
    answer = browser.session.post(
        f"{browser.url}/reconciliations", data=data, files={"ledger": ("book.csv", ledger)}, timeout=30
    )
    return answer.status_code, answer.url, answer.text


@pytest.mark.usefixtures("balances")
def test_a_day_is_set_against_an_uploaded_book_kept_and_downloaded(console: Console) -> None:
    browser = console.browser("alice", Role.OPERATOR)
    status, url, page = reconcile(browser)
    assert status == 200
    assert "1,300.00" in page
    kept = row(console.house, "SELECT id, is_off, made_by FROM reconciliations")
    assert (kept["is_off"], kept["made_by"]) == (False, "console:alice")
    assert str(kept["id"]) in url
    begins = {".csv": b"\xef\xbb\xbf", ".xlsx": b"PK", ".pdf": b"%PDF"}
    for ending, beginning in begins.items():
        file = browser.session.get(f"{url}/file{ending}", timeout=30)
        assert file.content.startswith(beginning)
        # The day is one of East Africa, which began on the day before in UTC.
        assert f"reconciliation-{SHORTCODE}-2026-11-21{ending}" in file.headers["Content-Disposition"]
    assert browser.session.get(f"{url}/file.exe", timeout=30).status_code == 404
    stranger = console.browser("till", Role.VIEWER, ())
    assert stranger.get(f"/reconciliations/{kept['id']}").status_code == 404
    assert stranger.get("/reconciliations").text.count("data-label") == 0


@pytest.mark.usefixtures("balances")
def test_a_book_that_differs_is_flagged(console: Console) -> None:
    _, _, page = reconcile(console.browser("alice"), LEDGER.replace("400.00", "390.00"))
    assert "DIFFERS" in page


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"begins": "2026-11-22T00:00"}, "a period needs its beginning"),
        ({"ends": "2999-01-01T00:00"}, "the period is not over"),
        ({"begins": "soon"}, "is no time"),
        ({"tolerance": "much"}, "is no amount from 0"),
        ({"ledger": "nothing,of,a,ledger\n"}, "columns"),
    ],
)
def test_a_reconciliation_that_cannot_be_made_says_why_and_is_not_kept(
    console: Console, changes: dict[str, str], told: str
) -> None:
    status, _, page = reconcile(console.browser("alice"), **changes)
    assert status == 422
    assert told in page
    assert rows(console.house, "SELECT FROM reconciliations") == []


@pytest.mark.usefixtures("balances")
@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl", ".xlsx", ".parquet"])
def test_an_export_comes_whole_in_each_form_and_is_on_record(console: Console, ending: str) -> None:
    browser = console.browser("alice", Role.VIEWER)
    file = browser.get("/exports/file", params={"what": "balances", "ending": ending})
    assert file.status_code == 200
    begins = {".csv": b"\xef\xbb\xbf", ".json": b"[", ".jsonl": b"{", ".xlsx": b"PK", ".parquet": b"PAR1"}
    assert file.content.startswith(begins[ending])
    if ending == ".json":
        assert [one["available"] for one in json.loads(file.content)] == [
            "1300.00",
            "20.00",
            "900.00",
            "50.00",
        ]
    if ending == ".parquet":
        assert file.content.endswith(b"PAR1")
    assert actions(console.house) == [("exported", "all shortcodes")]


@pytest.mark.usefixtures("balances")
def test_an_export_holds_what_was_granted_only(console: Console) -> None:
    browser = console.browser("till", Role.VIEWER, ())
    file = browser.get("/exports/file", params={"what": "queries", "ending": ".csv"})
    assert len(list(csv.reader(io.StringIO(file.text)))) == 1
    assert browser.get("/exports/file", params={"what": "passwords"}).status_code == 404


def test_a_person_is_added_by_a_link_that_sets_a_good_password_once(console: Console) -> None:
    administrator = console.browser("alice")
    form = {"name": "Bob", "role": "viewer", "scope": "some", "shortcodes": SHORTCODE}
    page = administrator.post("/people", data=form).text
    found = re.search(r'<code id="link">([^<]+)', page)
    assert found
    path = found[1].removeprefix(console.url)
    bob = Browser(console.url)
    assert "Welcome, bob" in bob.get(path).text
    for password, again in (("short", "short"), ("password1234", "password1234"), (PASSWORD, "another")):
        answer = bob.post(path, page=path, data={"password": password, "again": again})
        assert answer.status_code == 422
    assert (
        bob.post(path, page=path, data={"password": PASSWORD, "again": PASSWORD}).url == f"{console.url}/"
    )
    assert SHORTCODE in bob.get("/").text
    assert Browser(console.url).get(path).status_code == 401
    assert Browser(console.url).sign_in("bob").url == f"{console.url}/"


@pytest.mark.parametrize(
    "form",
    [
        {"name": "bob", "role": "king", "scope": "every"},
        {"name": "bob", "role": "viewer"},
        {"name": "bob", "role": "viewer", "scope": "some"},
        {"name": "bob", "role": "administrator", "scope": "some", "shortcodes": SHORTCODE},
        {"name": "bob", "role": "viewer", "scope": "some", "shortcodes": "999999"},
        {"name": "b b", "role": "viewer", "scope": "every"},
    ],
)
def test_a_person_who_cannot_be_added_is_not(console: Console, form: dict[str, str]) -> None:
    assert console.browser("alice").post("/people", data=form).status_code in (404, 422)
    assert rows(console.house, "SELECT name FROM users") == [{"name": "alice"}]


def test_the_last_administrator_stays_one(console: Console) -> None:
    browser = console.browser("alice")
    for path, form in (
        ("/people/alice/disable", {}),
        ("/people/alice", {"role": "viewer", "scope": "every"}),
    ):
        answer = browser.post(path, data=form)
        assert answer.status_code == 422
        assert "nobody would be left" in answer.text


def test_another_password_ends_the_sessions_elsewhere(console: Console) -> None:
    browser, elsewhere = console.browser("alice"), Browser(console.url)
    elsewhere.sign_in("alice")
    form = {"current": "wrong", "password": "nine hundred elephants", "again": "nine hundred elephants"}
    assert browser.post("/account/password", data=form).status_code == 401
    assert browser.post("/account/password", data=form | {"current": PASSWORD}).status_code == 200
    assert browser.get("/account", allow_redirects=False).status_code == 200
    assert elsewhere.get("/account", allow_redirects=False).status_code == 302
    assert elsewhere.sign_in("alice", "nine hundred elephants").status_code == 200


def test_a_token_is_shown_once_opens_the_api_and_can_be_revoked(console: Console) -> None:
    browser = console.browser("alice", Role.VIEWER)
    page = browser.post("/account/tokens", data={"label": "payroll", "days": "30"}).text
    found = re.search(r'<code id="token">([^<]+)', page)
    assert found
    assert found[1] not in browser.get("/account").text
    service = Browser(console.url)
    service.session.headers["Authorization"] = f"Bearer {found[1]}"
    assert service.call("/balances").status_code == 200
    token_id = row(console.house, "SELECT id FROM api_tokens")["id"]
    assert console.browser("bob").post(f"/account/tokens/{token_id}/revoke").status_code == 404
    assert browser.post(f"/account/tokens/{token_id}/revoke").status_code == 200
    assert service.call("/balances").status_code == 401
