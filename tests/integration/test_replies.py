"""Callers' own tasks are told how their requests ended: each ending once, amounts only where wanted."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from mpesa_balance import outbox
from mpesa_balance.contract import request_id_for
from tests.conftest import SHORTCODE, Bell
from tests.integration.answers import begin, failure, record, row, rows, success
from worker.house import House
from worker.intake import open_request
from worker.replying import send_due
from worker.sweeper import sweep

PAYROLL = {"task": "payroll.balance_known", "queue": "payroll"}


def ask(house: House, **message: Any) -> UUID:
    request_id = uuid4()
    open_request(house, str(request_id), {"shortcode": SHORTCODE, "reply_to": PAYROLL, **message})
    return request_id


def attempt_of(house: House, request_id: UUID) -> UUID:
    query = row(house, "SELECT query_id FROM balance_requests WHERE id = %s", request_id)
    return begin(house, query["query_id"])


def events(bell: Bell) -> list[dict[str, Any]]:
    assert {(task, queue) for task, queue, _ in bell.told} <= {("payroll.balance_known", "payroll")}
    return [event for _, _, event in bell.told]


def overdue(house: House) -> None:
    rows(house, "UPDATE balance_queries SET deadline_at = now() - interval '1 s' RETURNING id")
    sweep(house)


def test_a_completed_request_is_told_without_amounts(house: House, bell: Bell) -> None:
    request_id = ask(house)
    record(house, attempt_of(house, request_id), success())
    (event,) = events(bell)
    assert (event["version"], event["request_id"], event["state"]) == (1, str(request_id), "completed")
    assert (event["shortcode"], event["late"], event["completed_at"]) == (
        SHORTCODE,
        False,
        "2026-11-22T09:00:00+00:00",
    )
    assert UUID(event["event_id"])
    assert "accounts" not in event
    assert "700000" not in str(event)


def test_a_balance_that_cannot_be_opened_holds_up_no_other_reply_and_no_sweep(
    house: House, bell: Bell
) -> None:
    bell.refused = {"payroll"}
    broken = ask(house)
    record(house, attempt_of(house, broken), success())
    other = ask(house, shortcode="999999")
    bell.refused = set()
    rows(house, "UPDATE balances SET document = %s RETURNING query_id", b"\1\2")
    rows(house, "UPDATE replies SET next_attempt_at = now(), attempts = 0 RETURNING id")
    with house.database.transaction() as connection:
        outbox.add(connection, outbox.APP_REFUSED, "what people are to be told")
    sweep(house)
    assert [event["request_id"] for event in events(bell)] == [str(other)]
    assert rows(house, "SELECT FROM outbox WHERE delivered_at IS NULL") == []
    waiting = row(house, "SELECT attempts, sent_at FROM replies WHERE request_id = %s", broken)
    assert waiting == {"attempts": 1, "sent_at": None}


def test_amounts_are_told_where_the_caller_asks_for_them(house: House, bell: Bell) -> None:
    record(house, attempt_of(house, ask(house, include_accounts=True)), success())
    (event,) = events(bell)
    assert event["accounts"][0]["available"] == "700000.00"


def test_a_request_without_reply_to_is_told_to_nobody(house: House, bell: Bell) -> None:
    record(house, attempt_of(house, ask(house, reply_to=None)), success())
    sweep(house)
    assert bell.told == []


def test_everybody_who_joined_is_told(house: House, bell: Bell) -> None:
    first, second = ask(house), ask(house)
    record(house, attempt_of(house, first), success())
    assert {event["request_id"] for event in events(bell)} == {str(first), str(second)}
    assert len({event["event_id"] for event in events(bell)}) == 2


def test_an_answer_at_hand_is_told_at_once(house: House, bell: Bell) -> None:
    record(house, attempt_of(house, ask(house, reply_to=None)), success())
    rows(house, "UPDATE balances SET as_of = now() RETURNING query_id")
    ask(house, max_age=60)
    (event,) = events(bell)
    assert (event["state"], event["answered_by"]) == ("completed", "reused")


def test_a_failure_is_told_with_what_it_means(house: House, bell: Bell) -> None:
    record(house, attempt_of(house, ask(house)), failure("2001"))
    (event,) = events(bell)
    assert (event["state"], event["result_code"], event["retryable"]) == ("failed", "2001", False)
    assert "initiator" in event["advice"].lower()


def test_a_failure_that_is_tried_again_is_not_told(house: House, bell: Bell) -> None:
    request_id = ask(house)
    record(house, attempt_of(house, request_id), failure("17"))
    assert events(bell) == []
    record(house, attempt_of(house, request_id), success())
    assert [event["state"] for event in events(bell)] == ["completed"]


def test_a_refusal_is_told_also_of_a_request_that_cannot_be_done(house: House, bell: Bell) -> None:
    request_id = ask(house, shortcode="999999")
    (event,) = events(bell)
    assert (event["state"], event["request_id"]) == ("refused", str(request_id))
    assert "is not registered" in event["refusal"]


def test_a_request_that_is_asked_again_after_its_refusal_is_told_again(house: House, bell: Bell) -> None:
    rows(house, "UPDATE shortcodes SET suspended_at = now(), suspended_because = 'x' RETURNING app")
    ask(house, idempotency_key="november")
    rows(house, "UPDATE shortcodes SET suspended_at = NULL, suspended_because = NULL RETURNING app")
    ask(house, idempotency_key="november")
    request_id = request_id_for(SHORTCODE, "november")
    record(house, attempt_of(house, request_id), success())
    assert [event["state"] for event in events(bell)] == ["refused", "completed"]
    assert {event["request_id"] for event in events(bell)} == {str(request_id)}


def test_a_timeout_is_told_and_the_late_result_after_it(house: House, bell: Bell) -> None:
    request_id = ask(house)
    attempt_id = attempt_of(house, request_id)
    overdue(house)
    record(house, attempt_id, success())
    assert [(event["state"], event["late"]) for event in events(bell)] == [
        ("timed_out", False),
        ("completed", True),
    ]


def test_an_ending_that_was_overtaken_before_it_could_be_told_is_not_told(house: House, bell: Bell) -> None:
    request_id = ask(house)
    attempt_id = attempt_of(house, request_id)
    bell.refused = {"payroll"}
    overdue(house)
    bell.refused = set()
    record(house, attempt_id, success())
    rows(house, "UPDATE replies SET next_attempt_at = now() RETURNING id")
    send_due(house)
    assert [event["state"] for event in events(bell)] == ["completed"]


def test_what_the_broker_does_not_take_is_sent_later_and_holds_up_no_other(
    house: House, bell: Bell
) -> None:
    bell.refused = {"payroll"}
    before = row(house, "SELECT now() AS at")["at"]
    record(house, attempt_of(house, ask(house)), success())
    found = row(
        house,
        "SELECT attempts, sent_at, next_attempt_at > %s + interval '4 s' AS later FROM replies",
        before,
    )
    assert (found["attempts"], found["sent_at"], found["later"]) == (1, None, True)
    rows(house, "UPDATE replies SET next_attempt_at = now() - interval '1 h' RETURNING id")
    request_id = uuid4()
    other = {"task": "till.known", "queue": "till"}
    open_request(house, str(request_id), {"shortcode": SHORTCODE, "reply_to": other, "force": True})
    record(house, attempt_of(house, request_id), success())
    assert [(queue, event["request_id"]) for _, queue, event in bell.told] == [("till", str(request_id))]
    bell.refused = set()
    rows(house, "UPDATE replies SET next_attempt_at = now() RETURNING id")
    sweep(house)
    assert [queue for _, queue, _ in bell.told] == ["till", "payroll"]


def test_however_many_wait_for_a_queue_that_takes_nothing_others_are_told_at_the_next_look(
    house: House, bell: Bell
) -> None:
    bell.refused = {"payroll"}
    for _ in range(101):
        ask(house, shortcode="999999")
    rows(house, "UPDATE replies SET next_attempt_at = now(), attempts = 0 RETURNING id")
    other = {"task": "till.known", "queue": "till"}
    open_request(house, str(uuid4()), {"shortcode": "999999", "reply_to": other})
    rows(house, "UPDATE replies SET created_at = now() - interval '1 h' WHERE attempts = 0 RETURNING id")
    for _ in range(2):
        send_due(house)
    assert [queue for _, queue, _ in bell.told] == ["till"]


def test_what_is_wrong_with_a_request_is_told_to_whom_it_names(house: House, bell: Bell) -> None:
    """Also where it is wrong in itself; and with its key, by which its caller looks for it."""
    ask(house, idempotency_key="november", remarks="R&D")
    (event,) = events(bell)
    assert (event["state"], event["request_id"]) == ("refused", str(request_id_for(SHORTCODE, "november")))
    assert "remarks" in event["refusal"]


def test_the_same_bytes_again_tell_nothing_again(house: House, bell: Bell) -> None:
    attempt_id = attempt_of(house, ask(house))
    for _ in range(2):
        record(house, attempt_id, success())
    sweep(house)
    assert len(events(bell)) == 1


def test_an_event_that_may_not_have_been_sent_is_sent_again_under_its_id(house: House, bell: Bell) -> None:
    record(house, attempt_of(house, ask(house)), success())
    rows(house, "UPDATE replies SET sent_at = NULL RETURNING id")
    sweep(house)
    first, second = events(bell)
    assert first == second


@pytest.mark.parametrize(
    "reply_to",
    [
        "payroll",
        {"task": "x"},
        {"task": "", "queue": "q"},
        {"task": "t", "queue": 5},
        {"task": "t", "queue": "mpesa-requests"},
        {"task": "t", "queue": "unacked"},
        {"task": "t", "queue": "q", "exchange": "x"},
    ],
)
def test_what_is_no_address_for_a_reply_is_refused(house: House, bell: Bell, reply_to: Any) -> None:
    request_id = ask(house, reply_to=reply_to)
    refusal = row(house, "SELECT refusal FROM balance_requests WHERE id = %s", request_id)["refusal"]
    assert "reply_to must be" in refusal
    assert bell.told == []
