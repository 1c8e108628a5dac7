"""What the pages of the console show and do; each look at a balance is in the audit trail."""

import re
from uuid import UUID, uuid4

import pytest
import redis

from mpesa_balance import contract, schedules, shortcodes
from mpesa_balance.people.roles import Role
from mpesa_balance.timetables import Timetable
from tests.conftest import SHORTCODE, entry_of, open_query
from tests.integration import queued
from tests.integration.alerting import add_rule
from tests.integration.answers import begin, failure, record, row, rows, success
from tests.integration.console_desk import Browser, Console
from worker.house import House
from worker.intake import open_request

pytestmark = pytest.mark.console


def told(house: House, balance: str, time: str = "20261122120000") -> UUID:
    """A balance that M-PESA has told; gives the query's id."""
    query_id = open_query(house.database)
    record(house, begin(house, query_id), success(balance).replace(b"20261122120000", time.encode()))
    return query_id


def looks(house: House, actor: str) -> list[dict[str, str]]:
    """What somebody has been shown, in order."""
    return rows(
        house,
        "SELECT action, subject, detail FROM audit "
        "WHERE actor = %s AND action NOT LIKE 'signed%%' ORDER BY id",
        actor,
    )


def test_a_page_of_balances_without_any_says_so(console: Console) -> None:
    page = console.browser("alice").get("/")
    assert SHORTCODE in page.text
    assert "no balance yet" in page.text


def stood(house: House, query_id: UUID, days_ago: int) -> None:
    """Let M-PESA have told this balance so many days ago."""
    with house.database.transaction() as connection:
        connection.execute(
            "UPDATE balances SET as_of = now() - make_interval(days => %s) WHERE query_id = %s",
            (days_ago, query_id),
        )


def test_a_request_that_named_no_shortcode_has_a_page(console: Console) -> None:
    request_id = uuid4()
    open_request(console.house, str(request_id), {})
    page = console.browser("alice").get(f"/queries/{request_id}")
    assert (page.status_code, "Request without a shortcode" in page.text) == (200, True)


@pytest.mark.parametrize("accepted", ["text/event-stream", "application/json"])
def test_what_a_page_fetches_by_itself_is_refused_when_the_session_is_over(
    console: Console, accepted: str
) -> None:
    """And not led to the door, which would be read as an answer, and would lead back to it."""
    answer = Browser(console.url).get(f"/shortcodes/{SHORTCODE}/course", headers={"Accept": accepted})
    assert (answer.status_code, answer.history) == (401, [])


def test_what_is_available_comes_first_with_its_change_since_yesterday(console: Console) -> None:
    house = console.house
    told(house, "Empty|KES|0.00|0.00|0.00|0.00&Till|KES|900.00|800.00|100.00|0.00", "20261120120000")
    query_id = told(house, "Empty|KES|0.00|0.00|0.00|0.00&Till|KES|1234567.50|1234500.50|67.00|0.00")
    browser = console.browser("alice")
    page = browser.get("/").text
    names = re.findall(r'<th scope="row">(\w+)', page)
    assert names == ["Till", "Empty"]
    assert "1,234,500.50" in page
    assert "Till: 2 balances, from 800.00 to 1,234,500.50" in page
    assert looks(house, "console:alice") == [
        {
            "action": "balance_shown",
            "subject": SHORTCODE,
            "detail": f"query {query_id}, with the last 20 and that of a day ago",
        }
    ]


@pytest.mark.parametrize("days", [(2,), (40, 0)])
def test_no_change_is_told_where_nobody_knows_how_it_stood_yesterday(
    console: Console, days: tuple[int, ...]
) -> None:
    """The newest balance itself is older than a day; or the one before it is from another month."""
    for ago in days:
        query_id = told(console.house, "Till|KES|800.00|800.00|0.00|0.00")
        stood(console.house, query_id, ago)
    page = console.browser("alice").get("/").text
    assert re.findall(r'data-label="Since yesterday">(.*?)<', page) == [""]


def test_the_change_is_held_against_what_stood_a_day_ago(console: Console) -> None:
    house = console.house
    for balance, days in (("800.00", 2), ("1000.50", 0)):
        stood(house, told(house, f"Till|KES|{balance}|{balance}|0.00|0.00"), days)
    assert "+200.50" in console.browser("alice").get("/").text


def test_a_page_holds_25_shortcodes_and_leads_to_the_next(console: Console) -> None:
    house = console.house
    with house.database.transaction() as connection:
        for number in range(700_000, 700_030):
            shortcodes.add(connection, house.database.sealer, entry_of(str(number)))
    browser = console.browser("alice")
    first = browser.get("/").text
    assert first.count('id="shortcode-') == 25
    following = re.search(r'href="([^"]+)" rel="next"', first)
    assert following
    assert browser.get(following[1].replace("&amp;", "&")).text.count('id="shortcode-') == 6
    assert browser.get("/?find=0029").text.count('id="shortcode-') == 1


def test_asking_sends_the_public_task_in_the_name_of_who_asks(console: Console, store: redis.Redis) -> None:
    answer = console.browser("alice", Role.OPERATOR).post(
        f"/shortcodes/{SHORTCODE}/ask", headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    (message,) = queued.messages(store, contract.REQUESTS_QUEUE)
    assert message["headers"]["task"] == contract.REQUEST_BALANCE
    given = queued.arguments(message)
    assert (given["shortcode"], given["requested_by"]) == (SHORTCODE, "console:alice")


def test_asking_without_javascript_leads_to_the_shortcode(console: Console, store: redis.Redis) -> None:
    answer = console.browser("alice", Role.OPERATOR).post(f"/shortcodes/{SHORTCODE}/ask")
    assert (answer.status_code, answer.url) == (200, f"{console.url}/shortcodes/{SHORTCODE}")
    assert len(queued.messages(store, contract.REQUESTS_QUEUE)) == 1


def test_a_request_is_told_to_those_only_who_may_see_its_shortcode(console: Console) -> None:
    house = console.house
    told(house, "Till|KES|1.00|1.00|0.00|0.00")
    request_id = row(house, "SELECT id FROM balance_requests")["id"]
    browser = console.browser("alice")
    assert "completed" in browser.get(f"/requests/{SHORTCODE}/{request_id}").text
    assert "completed" not in browser.get(f"/requests/600001/{request_id}").text
    assert "asked" in browser.get(f"/requests/{SHORTCODE}/{uuid4()}").text


def test_a_shortcode_shows_its_breaker_schedules_and_rules(console: Console) -> None:
    house = console.house
    add_rule(house, "below", threshold="500", account="Till", shortcode=SHORTCODE)
    with house.database.transaction() as connection:
        schedules.add(connection, SHORTCODE, Timetable(every_seconds=3600))
        connection.execute("UPDATE shortcodes SET suspended_at = now(), suspended_because = 'locked out'")
        connection.execute("UPDATE shortcodes SET credential_set_at = now() - interval '80 days'")
    page = console.browser("alice").get(f"/shortcodes/{SHORTCODE}").text
    assert "locked out" in page
    assert "threshold 500" in page
    assert "every 1:00:00" in page
    assert re.search(r">ageing</span> set 80 days ago", page)


def test_the_course_of_an_account_has_its_thresholds_and_is_on_record(console: Console) -> None:
    house = console.house
    add_rule(house, "below", threshold="500", account="Till", shortcode=SHORTCODE)
    for number, amount in enumerate(("600.00", "400.25")):
        told(house, f"Till|KES|{amount}|{amount}|0.00|0.00", f"2026112{number}120000")
    browser = console.browser("alice")
    course = browser.get(f"/shortcodes/{SHORTCODE}/course?since=2026-11-19&until=2026-11-22").json()
    assert len(course["at"]) == 2
    assert course["accounts"] == [
        {
            "name": "Till",
            "currency": "KES",
            "available": [600.0, 400.25],
            "thresholds": [{"kind": "below", "amount": 500.0}],
        }
    ]
    assert "plot of 2 balances" in looks(house, "console:alice")[-1]["detail"]
    assert browser.get(f"/shortcodes/{SHORTCODE}/course?since=soon").status_code == 422


def test_a_query_shows_everything_that_happened_to_it(console: Console) -> None:
    house = console.house
    query_id = open_query(house.database)
    record(house, begin(house, query_id), failure("2001"))
    page = console.browser("alice").get(f"/queries/{query_id}").text
    for word in ("asked", "submitted", "callback", "failed", "2001", "What to do", "applied"):
        assert word in page, word


def test_what_daraja_writes_into_a_page_is_text_there(console: Console) -> None:
    house = console.house
    query_id = open_query(house.database)
    payload = failure().replace(b'"no"', b'"<script>alert(1)</script>"')
    record(house, begin(house, query_id), payload)
    page = console.browser("alice").get(f"/queries/{query_id}").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_queries_are_listed_by_state_and_page_by_page(console: Console) -> None:
    house = console.house
    for _ in range(51):
        open_query(house.database)
    record(house, begin(house, open_query(house.database)), failure())
    browser = console.browser("alice")
    first = browser.get("/queries").text
    assert first.count('data-label="Opened"') == 50
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    assert browser.get(following[1].replace("&amp;", "&")).text.count('data-label="Opened"') == 2
    assert browser.get("/queries?state=failed").text.count('data-label="Opened"') == 1
    assert browser.get("/queries?before=nonsense").status_code == 422


@pytest.mark.parametrize(
    "path", ["/queries/00000000-0000-0000-0000-000000000001", "/inbox/7", "/people/bob"]
)
def test_what_is_not_there_is_not_found(console: Console, path: str) -> None:
    assert console.browser("alice").get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/?find=%00", "/?after=%00", "/queries?shortcode=%00", "/people/%00", "/exports/file?what=%00"]
)
def test_a_nul_in_what_was_sent_is_refused_in_words(console: Console, path: str) -> None:
    answer = console.browser("alice").get(path)
    assert answer.status_code == 422
    assert "a NUL stands in what was sent" in answer.text
    form = console.browser("bob").post("/people", data={"name": "b\0b", "role": "viewer", "scope": "every"})
    assert form.status_code == 422
