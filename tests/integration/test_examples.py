"""The examples do what their readers will copy; the payroll runs in tests/e2e/test_other_service.py."""

import importlib
from types import ModuleType
from uuid import UUID, uuid4

import pytest
import redis

from mpesa_balance import contract
from mpesa_balance.contract import BalanceAsk
from tests.conftest import SHORTCODE
from tests.integration import queued
from tests.integration.answers import begin, record, row, success
from tests.integration.looking import looking_up
from worker.house import House
from worker.intake import open_request


def example(monkeypatch: pytest.MonkeyPatch, name: str, broker_url: str) -> ModuleType:
    monkeypatch.setenv("BROKER_URL", broker_url)
    return importlib.reload(importlib.import_module(f"ops.examples.{name}"))


@pytest.fixture
def till(monkeypatch: pytest.MonkeyPatch, broker_url: str) -> ModuleType:
    return example(monkeypatch, "till", broker_url)


def test_a_till_asks_and_looks(till: ModuleType, house: House, store: redis.Redis) -> None:
    page = till.app.test_client()
    asked = page.post(f"/balances/{SHORTCODE}")
    (message,) = queued.messages(store, contract.REQUESTS_QUEUE)
    assert (asked.status_code, asked.json["request_id"]) == (202, message["headers"]["id"])
    request_id = UUID(asked.json["request_id"])
    open_request(house, str(request_id), queued.arguments(message))
    query = row(house, "SELECT query_id FROM balance_requests WHERE id = %s", request_id)
    record(house, begin(house, query["query_id"]), success())
    with looking_up(house, store):
        answer = page.get(f"/requests/{request_id}").json
    assert (answer["state"], answer["accounts"][0]["available"]) == ("completed", "700000.00")


def test_a_till_says_what_is_wrong(till: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    page = till.app.test_client()
    assert page.get(f"/funds/{SHORTCODE}/much").status_code == 400
    refused = page.post("/balances/6")
    assert (refused.status_code, "5 to 12 digits" in refused.json["error"]) == (422, True)
    assert page.get(f"/funds/{SHORTCODE}/5?timeout=0.2").status_code == 504
    away = example(monkeypatch, "till", "redis://127.0.0.1:1/0").app.test_client()
    assert away.get(f"/requests/{uuid4()}").status_code == 503


def test_the_schedule_of_another_project_asks_as_we_are_asked(
    monkeypatch: pytest.MonkeyPatch, broker_url: str
) -> None:
    morning = example(monkeypatch, "morning", broker_url)
    (entry,) = morning.app.conf.beat_schedule.values()
    assert BalanceAsk.read(entry["kwargs"]).shortcode == SHORTCODE
    assert contract.QUEUES[entry["task"]] == entry["options"]["queue"]
