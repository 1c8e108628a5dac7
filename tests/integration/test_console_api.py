"""What the JSON API answers, over real HTTP, held against what is stored."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
import requests

from mpesa_balance.contract import REQUESTS_QUEUE, request_id_for
from mpesa_balance.people.roles import Role
from tests.conftest import SHORTCODE
from tests.integration import queued, stocked
from tests.integration.answers import BALANCE, OTHER_BALANCE, row, rows
from tests.integration.console_desk import Browser, Console
from worker.house import House

pytestmark = pytest.mark.console

OTHER = "600001"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ONE_SHILLING = {
    "name": "Working Account",
    "currency": "KES",
    "current": "1.00",
    "available": "1.00",
    "reserved": "0.00",
    "uncleared": "0.00",
}


@pytest.fixture
def api(console: Console) -> Browser:
    """A service that may do everything."""
    return console.programme("payroll")


def asks(api: Browser, body: dict[str, Any]) -> requests.Response:
    return api.session.post(f"{api.url}/api/v1/queries", json=body, timeout=30)


def history(api: Browser, **wanted: Any) -> requests.Response:
    return api.call(f"/balances/{SHORTCODE}/history", params={"since": "2026-11-01T00:00:00Z"} | wanted)


def request_of(house: House, query_id: UUID) -> str:
    return str(row(house, "SELECT id FROM balance_requests WHERE query_id = %s", query_id)["id"])


def test_the_newest_balance_is_told_with_amounts_as_decimal_strings(console: Console, api: Browser) -> None:
    stocked.completed(console.house, at=NOON - timedelta(days=1))
    query_id = stocked.completed(console.house, balance=OTHER_BALANCE)
    told = api.call(f"/balances/{SHORTCODE}").json()
    assert told["accounts"] == [ONE_SHILLING]
    assert told["query_id"] == str(query_id)
    assert told["state"] == "completed"
    assert told["completed_at"] == "2026-11-22T09:00:00+00:00"


def test_the_newest_balances_of_all_shortcodes_are_told_where_there_are_any(
    console: Console, api: Browser
) -> None:
    stocked.add_shortcode(console.house, OTHER)
    stocked.add_shortcode(console.house, "600002")
    ids = [stocked.completed(console.house, one) for one in (OTHER, SHORTCODE)]
    told = api.call("/balances").json()
    assert [one["shortcode"] for one in told] == [SHORTCODE, OTHER]
    assert {one["query_id"] for one in told} == {str(one) for one in ids}
    without = api.call("/balances/600002")
    assert without.status_code == 404
    assert "no balance yet" in without.json()["violations"][0]


def test_all_shortcodes_are_told_with_why_nothing_is_asked_for_them(console: Console, api: Browser) -> None:
    stocked.add_shortcode(console.house, OTHER)
    stocked.failed(console.house)
    suspended, other = api.call("/shortcodes").json()
    assert suspended["shortcode"] == SHORTCODE
    assert datetime.fromisoformat(suspended["suspended_at"]).tzinfo
    assert "2001" in suspended["suspended_because"]
    assert other == {"shortcode": OTHER, "app": "app", "suspended_at": None, "suspended_because": None}


def test_history_is_told_from_an_instant_up_to_another_oldest_first(console: Console, api: Browser) -> None:
    house = console.house
    stocked.add_shortcode(house, OTHER)
    stocked.completed(house, OTHER, at=NOON)
    hours = [2, 0, 1, 3]
    ids = {hour: stocked.completed(house, at=NOON + timedelta(hours=hour)) for hour in hours}
    until = (NOON + timedelta(hours=3)).isoformat()
    told = history(api, since=NOON.isoformat(), until=until).json()
    assert [one["query_id"] for one in told] == [str(ids[hour]) for hour in (0, 1, 2)]
    assert [datetime.fromisoformat(one["as_of"]) for one in told] == [
        NOON + timedelta(hours=hour) for hour in (0, 1, 2)
    ]
    assert told[0]["accounts"][0]["current"] == "700000.00"


def test_history_goes_on_until_now_and_is_thinned_to_what_is_wanted(console: Console, api: Browser) -> None:
    house, now = console.house, datetime.now(UTC)
    last = stocked.completed(house, balance=OTHER_BALANCE, at=now - timedelta(seconds=1))
    stocked.completed(house, at=now - timedelta(days=1))
    stocked.completed(house, at=now + timedelta(days=1))
    since = (now - timedelta(days=2)).isoformat()
    assert len(history(api, since=since).json()) == 2
    (told,) = history(api, since=since, limit=1).json()
    assert told["query_id"] == str(last)
    assert told["accounts"] == [ONE_SHILLING]


def test_queries_are_listed_newest_first_and_without_amounts(console: Console, api: Browser) -> None:
    house = console.house
    ids = [stocked.completed(house), stocked.failed(house), stocked.opened(house)]
    answer = api.call("/queries")
    told = answer.json()["queries"]
    assert [one["id"] for one in told] == [str(one) for one in reversed(ids)]
    assert [one["state"] for one in told] == ["pending", "failed", "completed"]
    failed = told[1]
    assert datetime.fromisoformat(failed.pop("created_at")) <= datetime.fromisoformat(
        failed.pop("ended_at")
    )
    assert failed == {
        "id": str(ids[1]),
        "shortcode": SHORTCODE,
        "state": "failed",
        "late": False,
        "attempts": 1,
        "result_code": "2001",
        "result_description": "no",
    }
    assert "700000" not in answer.text


def test_queries_are_listed_of_one_shortcode_or_in_one_state(console: Console, api: Browser) -> None:
    house = console.house
    stocked.add_shortcode(house, OTHER)
    completed, pending = stocked.completed(house), stocked.opened(house, OTHER)
    for wanted, expected in (
        ({"shortcode": OTHER}, [pending]),
        ({"state": "completed"}, [completed]),
        ({"state": "pending", "shortcode": OTHER}, [pending]),
        ({"state": "pending", "shortcode": SHORTCODE}, []),
        ({"shortcode": "600009"}, []),
    ):
        told = api.call("/queries", params=wanted).json()
        assert [one["id"] for one in told["queries"]] == [str(one) for one in expected], wanted
        assert told["before"] is None


@pytest.mark.parametrize("granted", [None, (SHORTCODE, OTHER)])
def test_pages_of_queries_leave_none_out_and_tell_none_twice(
    console: Console, granted: tuple[str, ...] | None
) -> None:
    stocked.add_shortcode(console.house, OTHER)
    ids = {stocked.opened(console.house, one, at=NOON) for one in (SHORTCODE, OTHER) for _ in range(3)}
    ids.add(stocked.opened(console.house, OTHER))
    api = console.programme("lists", Role.VIEWER, granted)
    pages, before = [], None
    while before or not pages:
        told = api.call("/queries", params={"limit": 2, "before": before}).json()
        pages.append([one["id"] for one in told["queries"]])
        before = told["before"]
    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert {one for page in pages for one in page} == {str(one) for one in ids}


def test_a_query_is_told_with_its_timeline_also_by_the_id_of_its_request(
    console: Console, api: Browser
) -> None:
    query_id = stocked.completed(console.house)
    told = api.call(f"/queries/{query_id}").json()
    assert told["query_id"] == str(query_id)
    assert told["accounts"][0]["available"] == BALANCE.split("|")[3]
    words = [event["what"] for event in told["timeline"]]
    assert words[:3] + words[-1:] == ["asked", "pending", "submitted", "completed"]
    by_request = api.call(f"/queries/{request_of(console.house, query_id)}").json()
    assert by_request["timeline"] == told["timeline"]
    assert by_request["accounts"] == told["accounts"]


def test_a_refused_request_is_told_with_why_also_where_it_named_no_shortcode(
    console: Console, api: Browser
) -> None:
    refuse = "INSERT INTO balance_requests (id, shortcode, refusal) VALUES (%s, %s, 'no such') RETURNING id"
    for shortcode in ("999999", None):
        request_id = rows(console.house, refuse, uuid4(), shortcode)[0]["id"]
        told = api.call(f"/queries/{request_id}").json()
        assert (told["refusal"], told["state"], told["timeline"]) == ("no such", None, []), shortcode


def test_asking_puts_one_message_for_the_public_task_into_its_queue(
    api: Browser, store: redis.Redis
) -> None:
    wanted = {"shortcode": SHORTCODE, "remarks": "Before payroll", "max_age": 60, "force": True}
    answer = asks(api, wanted)
    assert answer.status_code == 202
    (message,) = queued.messages(store, REQUESTS_QUEUE)
    assert queued.tasks([message]) == ["request_balance"]
    assert queued.arguments(message) == wanted | {"requested_by": "api:payroll (test)"}
    request_id = message["headers"]["id"]
    assert answer.json() == {"request_id": request_id, "shortcode": SHORTCODE}
    assert answer.headers["Location"] == f"/api/v1/queries/{request_id}"


def test_asking_twice_with_one_key_is_one_request(api: Browser, store: redis.Redis) -> None:
    wanted = {
        "shortcode": SHORTCODE,
        "idempotency_key": "payroll-2026-11",
        "remarks": None,
        "max_age": None,
    }
    told = {asks(api, wanted).json()["request_id"] for _ in range(2)}
    assert told == {str(request_id_for(SHORTCODE, "payroll-2026-11"))}
    assert len(queued.messages(store, REQUESTS_QUEUE)) == 2
