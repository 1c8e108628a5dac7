"""What callers ask: one request for one key, a refusal on record, and nothing half-written."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from mpesa_balance import breaker
from mpesa_balance.contract import request_id_for
from tests.conftest import SHORTCODE, Bell, register
from tests.integration.answers import row, rows
from worker.house import House
from worker.intake import open_request

TASK = "7f1b8c0e-0000-4000-8000-000000000001"


def refusal(house: House) -> str:
    return str(row(house, "SELECT refusal FROM balance_requests")["refusal"])


def test_a_request_opens_a_query_and_rings_for_it(house: House, bell: Bell) -> None:
    open_request(house, TASK, {"shortcode": "600000", "requested_by": "payroll", "remarks": "Payroll"})
    found = row(
        house,
        "SELECT r.id, r.requested_by, q.state, q.remarks, q.id AS query_id, "
        "extract(epoch FROM q.deadline_at - q.created_at)::int AS seconds "
        "FROM balance_requests r JOIN balance_queries q ON q.id = r.query_id",
    )
    assert bell.rung == [found.pop("query_id")]
    assert found == {
        "id": UUID(TASK),
        "requested_by": "payroll",
        "state": "pending",
        "remarks": "Payroll",
        "seconds": 600,
    }


def test_asking_twice_with_one_key_is_one_request(house: House, bell: Bell) -> None:
    for _ in range(2):
        open_request(house, str(uuid4()), {"shortcode": "600000", "idempotency_key": "payroll"})
    found = row(house, "SELECT id, idempotency_key FROM balance_requests")
    assert found == {"id": request_id_for("600000", "payroll"), "idempotency_key": "payroll"}
    assert len(rows(house, "SELECT FROM balance_queries")) == len(bell.rung) == 1


def test_a_task_that_is_delivered_twice_is_one_request(house: House, bell: Bell) -> None:
    for _ in range(2):
        open_request(house, TASK, {"shortcode": "600000"})
    assert len(rows(house, "SELECT FROM balance_queries")) == len(bell.rung) == 1


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"shortcode": "699999"}, "shortcode 699999 is not registered"),
        ({"shortcode": "600000", "remarks": "x" * 101}, "remarks must be 2 to 100"),
        ({"shortcode": ["600000"]}, "shortcode must be a string"),
        ({"shortcode": "600000", "amount": 1}, "'amount' is not an argument"),
        ({}, "shortcode must be a string"),
    ],
)
def test_what_cannot_be_done_is_refused_on_record_and_opens_nothing(
    house: House, bell: Bell, message: dict[str, object], reason: str
) -> None:
    open_request(house, TASK, message)
    assert reason in refusal(house)
    assert row(house, "SELECT id FROM balance_requests")["id"] == UUID(TASK)
    assert rows(house, "SELECT FROM balance_queries") == []
    assert bell.rung == []


def test_positional_arguments_are_refused_on_record(house: House) -> None:
    open_request(house, TASK, {"shortcode": "600000"}, ("600000",))
    assert "is not an argument of a balance request" in refusal(house)


@pytest.mark.parametrize("text", ["\ud800", "a\x00b", "", "x" * 201])
def test_a_key_that_no_column_can_hold_is_refused_on_record(house: House, text: str) -> None:
    open_request(house, TASK, {"shortcode": "600000", "idempotency_key": text})
    assert "idempotency_key must be" in refusal(house)


def test_a_suspended_shortcode_is_refused_with_what_to_do(house: House) -> None:
    with house.database.transaction() as connection:
        breaker.suspend(connection, "600000", "wrong password")
    open_request(house, TASK, {"shortcode": "600000"})
    assert "suspended (wrong password): `mpesa-balance shortcodes resume 600000`" in refusal(house)


def test_everything_that_production_would_refuse_about_the_callback_address_is_said(
    house: House, database_url: str
) -> None:
    rows(house, "UPDATE daraja_apps SET environment = 'production' RETURNING name")
    settings = replace(house.settings, callback_base_url="http://pay.ngrok.io")
    open_request(replace(house, settings=settings), TASK, {"shortcode": "600000"})
    assert "must use https://" in refusal(house)
    assert "ngrok" in refusal(house)


def test_a_refusal_that_is_delivered_twice_is_recorded_once(house: House) -> None:
    for _ in range(2):
        open_request(house, TASK, {"shortcode": "699999"})
    assert refusal(house)


def test_a_request_that_was_refused_can_be_asked_again_once_that_is_mended(
    house: House, bell: Bell
) -> None:
    ask = {"shortcode": SHORTCODE, "idempotency_key": "k", "requested_by": "payroll"}
    with house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "test")
    open_request(house, TASK, ask)
    assert "suspended" in refusal(house)
    with house.database.transaction() as connection:
        breaker.resume(connection, SHORTCODE)
    for _ in range(2):
        open_request(house, TASK, ask)
    found = row(house, "SELECT refusal, query_id, requested_by FROM balance_requests")
    assert found == {"refusal": None, "query_id": bell.rung[0], "requested_by": "payroll"}
    assert len(bell.rung) == 1


def test_a_second_house_on_the_same_database_agrees(house: House) -> None:
    with pytest.raises(Exception, match="registered already"):
        register(house.database, "http://127.0.0.1:1")


def test_a_worker_that_is_rung_finds_the_query(house: House, bell: Bell) -> None:
    """The bell rings after the commit: another connection must see the row."""
    seen = []
    bell.submit = lambda _: seen.append(row(house, "SELECT id FROM balance_queries"))  # type: ignore[method-assign]
    open_request(
        replace(house, bells=bell),
        TASK,
        {"shortcode": "600000"},
    )
    assert len(seen) == 1
