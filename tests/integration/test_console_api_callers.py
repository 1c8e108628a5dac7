"""Who may call the JSON API, and what each is told of it; each look at amounts is in the audit trail."""

from dataclasses import replace
from uuid import uuid4

import pytest
import redis
import requests

from mpesa_balance.contract import REQUESTS_QUEUE
from mpesa_balance.people import administration, api_tokens
from mpesa_balance.people.roles import Role
from tests.conftest import SHORTCODE
from tests.integration import queued, stocked
from tests.integration.answers import row, rows
from tests.integration.console_desk import Browser, Console, answering
from tests.integration.trail import told, trail
from worker.house import House

pytestmark = pytest.mark.console

OTHER = "600001"

#: A port that nobody listens at.
NOBODY = "127.0.0.1:1"


def asks(api: Browser, shortcode: str = SHORTCODE) -> requests.Response:
    body = {"shortcode": shortcode}
    return api.session.post(f"{api.url}/api/v1/queries", json=body, timeout=30)


def caller(console: Console, token: str) -> Browser:
    """Whoever comes with this token."""
    browser = Browser(console.url)
    browser.session.headers["Authorization"] = f"Bearer {token}"
    return browser


def violations(answer: requests.Response, status: int) -> list[str]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    found: list[str] = answer.json()["violations"]
    return found


def test_a_viewer_may_look_and_not_ask(console: Console, store: redis.Redis) -> None:
    viewer = console.programme("viewer", Role.VIEWER)
    assert viewer.call("/balances").json() == []
    assert "may not ask for a balance" in violations(asks(viewer), 403)[0]
    assert queued.messages(store, REQUESTS_QUEUE) == []


def test_a_till_manager_sees_and_asks_for_what_was_granted_to_him_only(
    console: Console, store: redis.Redis
) -> None:
    house = console.house
    stocked.add_shortcode(house, OTHER)
    mine, other = stocked.completed(house), stocked.completed(house, OTHER)
    till = console.programme("till", Role.OPERATOR, (SHORTCODE,))
    assert [one["shortcode"] for one in till.call("/shortcodes").json()] == [SHORTCODE]
    assert [one["query_id"] for one in till.call("/balances").json()] == [str(mine)]
    assert [one["id"] for one in till.call("/queries").json()["queries"]] == [str(mine)]
    assert till.call(f"/queries/{mine}").json()["query_id"] == str(mine)
    for path in (
        f"/balances/{OTHER}",
        f"/balances/{OTHER}/history?since=2026-11-01T00:00:00Z",
        f"/queries?shortcode={OTHER}",
    ):
        assert OTHER in violations(till.call(path), 403)[0]
    violations(till.call(f"/queries/{other}"), 404)
    violations(asks(till, OTHER), 403)
    assert asks(till).status_code == 202
    (message,) = queued.messages(store, REQUESTS_QUEUE)
    assert queued.arguments(message)["shortcode"] == SHORTCODE


def test_a_grant_that_is_taken_back_is_gone_at_the_next_call(console: Console) -> None:
    stocked.completed(console.house)
    till = console.programme("till", Role.VIEWER, (SHORTCODE,))
    assert len(till.call("/balances").json()) == 1
    with console.house.database.transaction() as connection:
        administration.change(connection, "test", "till", Role.VIEWER, ())
    assert till.call("/balances").json() == till.call("/shortcodes").json() == []
    violations(till.call(f"/balances/{SHORTCODE}"), 403)


def test_what_one_may_not_see_is_told_as_what_is_not_there(console: Console) -> None:
    house = console.house
    stocked.add_shortcode(house, OTHER)
    unseen = stocked.opened(house, OTHER)
    request_id = row(house, "SELECT id FROM balance_requests")["id"]
    stocked.opened(house)
    till = console.programme("till", Role.VIEWER, (SHORTCODE,))
    unknown = uuid4()
    expected = violations(till.call(f"/queries/{unknown}"), 404)[0]
    for hidden in (unseen, request_id):
        told_of = violations(till.call(f"/queries/{hidden}"), 404)[0]
        assert told_of.replace(str(hidden), str(unknown)) == expected
    pages = [till.call("/queries", params={"before": one}).json() for one in (unseen, unknown)]
    assert pages == [{"queries": [], "before": None}] * 2
    shortcodes = [violations(till.call(f"/balances/{one}"), 403)[0] for one in (OTHER, "999999")]
    assert shortcodes[0].replace(OTHER, "999999") == shortcodes[1]


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer  ", "Bearer unknown", "Basic cGF5OnJvbGw="])
def test_a_call_without_a_token_of_somebody_is_refused(console: Console, sent: str | None) -> None:
    stocked.completed(console.house)
    browser = Browser(console.url)
    browser.session.headers["Authorization"] = sent
    for answer in (browser.call("/balances"), asks(browser)):
        assert "token" in violations(answer, 401)[0]
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "over",
    [
        "UPDATE api_tokens SET ends_at = now() RETURNING id",
        "UPDATE api_tokens SET revoked_at = now() RETURNING id",
        "UPDATE users SET disabled_at = now() WHERE name = 'payroll' RETURNING name",
    ],
)
def test_a_token_that_is_over_lets_nobody_in(console: Console, over: str) -> None:
    payroll = console.programme("payroll")
    assert payroll.call("/shortcodes").status_code == 200
    assert len(rows(console.house, over)) == 1
    answer = payroll.call("/shortcodes")
    assert "revoked" in violations(answer, 401)[0]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_that_is_revoked_leaves_the_others_of_its_user(console: Console) -> None:
    console.add("payroll")
    first, second = (caller(console, console.token("payroll")) for _ in range(2))
    with console.house.database.transaction() as connection:
        newest, _ = api_tokens.listed(connection, "payroll")
        administration.revoke_token(connection, "test", newest.id)
    assert [one.call("/shortcodes").status_code for one in (first, second)] == [200, 401]


def test_a_session_does_not_open_the_api_and_a_token_no_page(console: Console) -> None:
    browser = console.browser("alice")
    violations(browser.call("/shortcodes"), 401)
    violations(asks(browser), 401)
    programme = console.programme("payroll")
    assert "/sign-in" in programme.get("/account").url


def test_every_look_at_amounts_is_in_the_audit_trail(console: Console) -> None:
    query_id = stocked.completed(console.house)
    payroll = console.programme("payroll")
    for path in (
        "/balances",
        f"/balances/{SHORTCODE}",
        f"/balances/{SHORTCODE}/history?since=2026-11-01T00:00:00Z",
        f"/queries/{query_id}",
    ):
        before = len(trail(console.house))
        assert "700000.00" in payroll.call(path).text
        newest, *others = trail(console.house)
        assert told(newest) == ("api:payroll (test)", "balance_shown", SHORTCODE), path
        assert len(others) == before
        assert str(query_id) in newest.detail or newest.detail.startswith("1 balances since 2026-11-01")


def test_a_look_at_no_amounts_is_none(console: Console) -> None:
    query_id = stocked.opened(console.house)
    payroll = console.programme("payroll")
    before = trail(console.house)
    for path in ("/shortcodes", "/balances", "/queries", f"/queries/{query_id}"):
        assert payroll.call(path).status_code == 200
    period = {"since": "2026-11-01T00:00:00Z"}
    assert payroll.call(f"/balances/{SHORTCODE}/history", params=period).json() == []
    assert trail(console.house) == before


def test_a_balance_is_kept_in_no_cache(console: Console) -> None:
    stocked.completed(console.house)
    assert console.programme("payroll").call("/balances").headers["Cache-Control"] == "no-store"


def moved(house: House, *, database_url: str | None = None, broker_url: str | None = None) -> House:
    """The house as a console would have it whose servers stand elsewhere."""
    settings = house.settings
    database = replace(settings.database, database_url=database_url or settings.database.database_url)
    broker = replace(settings.broker, broker_url=broker_url or settings.broker.broker_url)
    return replace(house, settings=replace(settings, database=database, broker=broker))


def test_while_postgres_is_away_everybody_is_told_to_try_again(console: Console) -> None:
    token = console.programme("payroll").session.headers["Authorization"]
    with answering(moved(console.house, database_url=f"postgresql://{NOBODY}/x")) as without:
        browser = Browser(without.url)
        browser.session.headers["Authorization"] = token
        assert len(violations(browser.call("/balances"), 503)) == 1


def test_while_redis_is_away_asking_is_refused_and_looking_is_not(console: Console) -> None:
    stocked.completed(console.house)
    token = console.programme("payroll").session.headers["Authorization"]
    with answering(moved(console.house, broker_url=f"redis://{NOBODY}/0")) as without:
        browser = Browser(without.url)
        browser.session.headers["Authorization"] = token
        assert len(browser.call("/balances").json()) == 1
        assert len(violations(asks(browser), 503)) == 1
