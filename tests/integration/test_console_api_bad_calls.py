"""What the JSON API says of a call that breaks its rules: all that is wrong, by name; nothing is done."""

from typing import Any

import pytest
import redis
import requests

from mpesa_balance.contract import REQUESTS_QUEUE
from tests.conftest import SHORTCODE
from tests.integration import queued, stocked
from tests.integration.console_desk import Browser, Console

pytestmark = pytest.mark.console

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api(console: Console) -> Browser:
    """A service that may do everything."""
    return console.programme("payroll")


def asks(api: Browser, **sent: Any) -> requests.Response:
    return api.session.post(f"{api.url}/api/v1/queries", timeout=30, **sent)


def refused(answer: requests.Response, status: int) -> list[str]:
    """The sentences of a refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["status"] == status
    violations: list[str] = answer.json()["violations"]
    return violations


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"shortcode": "123"}, ["shortcode"]),
        ({"shortcode": None}, ["shortcode"]),
        ({"shortcode": "\ud800"}, ["shortcode"]),
        ({"remarks": "&", "max_age": -1}, ["remarks", "max_age"]),
        ({"max_age": True}, ["max_age"]),
        ({"max_age": "60"}, ["max_age"]),
        ({"force": 1}, ["force"]),
        ({"force": "yes"}, ["force"]),
        ({"idempotency_key": ""}, ["idempotency_key"]),
        ({"idempotency_key": "a\n"}, ["idempotency_key"]),
        ({"requested_by": "somebody else"}, ["requested_by"]),
        ({"reply_to": {"task": "t", "queue": "q"}}, ["reply_to"]),
    ],
)
def test_a_request_that_breaks_rules_is_refused_with_what_is_wrong(
    api: Browser, store: redis.Redis, wrong: dict[str, Any], named: list[str]
) -> None:
    told = refused(asks(api, json={"shortcode": SHORTCODE} | wrong), 422)
    assert len(told) == len(named)
    assert all(name in sentence for name, sentence in zip(named, told, strict=True))
    assert queued.messages(store, REQUESTS_QUEUE) == []


def test_nothing_is_asked_for_a_shortcode_that_is_not_registered(api: Browser, store: redis.Redis) -> None:
    assert "600009" in refused(asks(api, json={"shortcode": "600009"}), 404)[0]
    assert queued.messages(store, REQUESTS_QUEUE) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"max_age": %s}' % (b"9" * 5000)])
def test_what_cannot_be_read_as_json_is_the_callers_mistake(api: Browser, body: bytes) -> None:
    answer = asks(api, data=body, headers=JSON)
    assert "send JSON" in refused(answer, 400)[0]


def test_a_body_of_another_type_or_another_shape_is_refused(api: Browser) -> None:
    assert "Content-Type" in refused(asks(api, data={"shortcode": SHORTCODE}), 415)[0]
    assert refused(asks(api, json=[SHORTCODE]), 422)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/queries?limit=0", "limit"),
        ("/queries?limit=501", "limit"),
        ("/queries?state=over", "state"),
        ("/queries?before=1", "before"),
        ("/queries?shortcode=%00", "shortcode"),
        (f"/balances/{SHORTCODE}/history", "since"),
        (f"/balances/{SHORTCODE}/history?since=2026-11-22T12:00:00", "zone"),
        (f"/balances/{SHORTCODE}/history?since=2026-11-22T12:00:00+03:00", "%2B"),
        (f"/balances/{SHORTCODE}/history?since=2026-11-01T00:00:00Z&limit=2001", "limit"),
        (f"/balances/{SHORTCODE}/history?since=2026-11-02T00:00:00Z&until=2026-11-02T00:00:00Z", "before"),
    ],
)
def test_what_is_wanted_in_a_wrong_way_is_told_by_name(api: Browser, path: str, named: str) -> None:
    (told,) = refused(api.call(path), 422)
    assert named in told


@pytest.mark.parametrize("path", ["/balances/%00", "/balances/%00/history?since=2026-11-01T00:00:00Z"])
def test_what_is_no_shortcode_is_none_that_is_registered(api: Browser, path: str) -> None:
    assert "not registered" in refused(api.call(path), 404)[0]


def test_periods_at_the_ends_of_the_calendar_are_periods(console: Console, api: Browser) -> None:
    stocked.completed(console.house)
    period = {"since": "0001-01-01T00:00:00+14:00", "until": "9999-12-31T23:59:59-12:00", "limit": 1}
    assert len(api.call(f"/balances/{SHORTCODE}/history", params=period).json()) == 1


def test_a_call_with_a_wrong_method_is_told_which_are_right(api: Browser) -> None:
    answer = api.session.put(f"{api.url}/api/v1/queries", timeout=30)
    assert "method" in refused(answer, 405)[0]
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_what_the_api_does_not_have_is_told_as_json(api: Browser) -> None:
    for path in ("/nothing", "/queries/1"):
        refused(api.call(path), 404)
