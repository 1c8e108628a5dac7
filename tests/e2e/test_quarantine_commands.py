"""`mpesa-balance quarantine` as a person and as a script use it."""

import base64
import json
from uuid import UUID, uuid4

import pytest

from mpesa_balance import contract
from tests.e2e.commands import refusal, run
from tests.integration.answers import row, rows
from worker import setting_aside
from worker.house import House

pytestmark = pytest.mark.slow

REASON = "it has ended its process 3 times"


def set_aside(house: House, task: str, task_id: UUID, **kwargs: str) -> None:
    message = json.dumps({"args": [], "kwargs": kwargs})
    setting_aside.set_aside(
        house,
        task=task,
        task_id=str(task_id),
        message=base64.b64encode(message.encode()).decode(),
        reason=REASON,
    )


def test_what_was_set_aside_is_listed_and_can_be_dropped(environment: dict[str, str], house: House) -> None:
    task_id = uuid4()
    for _ in range(2):
        set_aside(house, contract.SUBMIT_QUERY, task_id, query_id="x")
    (listed,) = json.loads(run(environment, "quarantine", "list", "--json").stdout)
    assert (listed["id"], listed["task"], listed["reason"]) == (str(task_id), contract.SUBMIT_QUERY, REASON)
    assert REASON in run(environment, "quarantine", "list").stdout
    dropped = json.loads(run(environment, "quarantine", "drop", str(task_id), "--json").stdout)
    assert json.loads(dropped["message"])["kwargs"] == {"query_id": "x"}
    assert json.loads(run(environment, "quarantine", "list", "--json").stdout) == []
    assert rows(house, "SELECT topic FROM outbox") == [{"topic": "task_quarantined"}]


def test_its_message_is_sealed(house: House) -> None:
    set_aside(house, contract.SUBMIT_QUERY, uuid4(), query_id="in the clear")
    assert b"in the clear" not in bytes(row(house, "SELECT message FROM quarantined_tasks")["message"])


@pytest.mark.parametrize("key", [None, "payroll"])
def test_a_request_that_was_set_aside_is_refused_so_that_it_ends(
    environment: dict[str, str], house: House, key: str | None
) -> None:
    task_id = uuid4()
    asked = {"shortcode": "600000"} | ({"idempotency_key": key} if key else {})
    set_aside(house, contract.REQUEST_BALANCE, task_id, **asked)
    request_id = contract.request_id_for("600000", key) if key else task_id
    found = row(house, "SELECT id, refusal FROM balance_requests")
    assert found["id"] == request_id
    assert REASON in found["refusal"]


def test_a_task_that_is_not_there_is_said(environment: dict[str, str], house: House) -> None:
    done = run(environment, "quarantine", "drop", str(uuid4()))
    assert "quarantine list" in refusal(done, 4)
