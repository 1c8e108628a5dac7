"""What the workers count: what has happened and was committed, once, with its times."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from mpesa_balance import queries
from mpesa_balance.callback_urls import TIMEOUT
from mpesa_balance.errors import SealBroken
from mpesa_balance.queries import Ending
from tests.conftest import Bell, open_query
from tests.fakes import FakeDaraja, Reply, json_reply
from tests.integration.answers import OTHER_BALANCE, delivery, failure, record, rows, success
from worker import callbacks, intake, metrics, setting_aside, sweeper
from worker.house import House
from worker.submission import submit


@pytest.fixture(autouse=True)
def _from_nothing() -> Iterator[None]:
    metrics.counted.cache_clear()
    yield
    metrics.counted.cache_clear()


def value(name: str, **labels: str) -> float:
    return metrics.counted().registry.get_sample_value(f"mpesa_balance_{name}", labels) or 0.0


def total(name: str) -> float:
    told = [sample for family in metrics.counted().registry.collect() for sample in family.samples]
    return sum(sample.value for sample in told if sample.name == f"mpesa_balance_{name}")


def begin_earlier(house: House, attempt_id: UUID, seconds: int) -> None:
    """Let everything of an attempt have happened so long ago."""
    with house.database.transaction() as connection:
        connection.execute(
            "UPDATE query_events SET happened_at = happened_at - make_interval(secs => %s)", (seconds,)
        )
        connection.execute(
            "UPDATE submission_attempts SET answered_at = answered_at - make_interval(secs => %s) "
            "WHERE id = %s",
            (seconds, attempt_id),
        )


def test_what_an_alarm_is_about_begins_at_nothing() -> None:
    """The first of it would have no rate, however many they were at once."""
    registry = metrics.counted().registry
    for state, code in (("failed", "other"), ("timed_out", "none")):
        labels = {"state": state, "code": code, "late": "false"}
        assert registry.get_sample_value("mpesa_balance_queries_ended_total", labels) == 0


def test_a_query_is_counted_from_its_request_to_its_ending(house: House, bell: Bell) -> None:
    intake.open_request(house, "00000000-0000-4000-8000-000000000001", {"shortcode": "600000"})
    (query_id,) = bell.rung
    submit(house, query_id)
    (attempt,) = rows(house, "SELECT id FROM submission_attempts")
    begin_earlier(house, attempt["id"], 40)
    record(house, attempt["id"], success())
    assert value("requests_total", answered_by="opened") == 1
    assert value("submissions_total", outcome="acknowledged") == 1
    assert value("daraja_request_duration_seconds_count", operation="query", status="2xx") == 1
    assert value("daraja_request_duration_seconds_count", operation="token", status="2xx") == 1
    assert value("token_requests_total", app="app", outcome="minted") == 1
    assert value("rate_limit_wait_seconds_count") == 1
    assert value("query_state_duration_seconds_count", state="pending") == 1
    assert 40 <= value("query_state_duration_seconds_sum", state="acknowledged") < 60
    assert 40 <= value("callback_arrival_seconds_sum", kind="result") < 60
    assert value("callback_judgement_delay_seconds_count") == 1
    assert value("callbacks_recorded_total", delivery="new") == 1
    assert value("callbacks_judged_total", kind="result", disposition="applied") == 1
    assert value("queries_ended_total", state="completed", code="0", late="false") == 1


def test_a_failure_a_timeout_and_a_late_result_are_told_apart(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, b"{}", TIMEOUT)
    record(house, attempt_id, failure("17"))
    assert value("queries_ended_total", state="timed_out", code="none", late="false") == 1
    assert value("queries_ended_total", state="failed", code="17", late="true") == 1
    assert value("query_state_duration_seconds_count", state="timed_out") == 1
    assert value("callbacks_judged_total", kind="timeout", disposition="applied") == 1


def test_what_the_sweeper_times_out_has_its_time_and_state(house: House) -> None:
    for _ in range(3):
        open_query(house.database, deadline=0)
    sweeper.sweep(house)
    assert value("queries_ended_total", state="timed_out", code="none", late="false") == 3
    assert value("query_state_duration_seconds_count", state="pending") == 3


def test_what_comes_twice_or_contradicts_is_told_apart(house: House, attempt_id: UUID) -> None:
    for payload in (success(), success(), success(OTHER_BALANCE), b"not JSON"):
        record(house, attempt_id, payload)
    assert value("callbacks_recorded_total", delivery="new") == 3
    assert value("callbacks_recorded_total", delivery="repeated") == 1
    assert value("callbacks_judged_total", kind="result", disposition="conflict") == 1
    assert value("callbacks_judged_total", kind="result", disposition="unreadable") == 1
    assert total("queries_ended_total") == 1


def test_what_is_rolled_back_is_counted_for_nothing(house: House, attempt_id: UUID, query_id: UUID) -> None:
    with (
        pytest.raises(SealBroken),
        house.database.transaction() as connection,
    ):
        queries.fail(connection, query_id, Ending(cause="test", attempt_id=attempt_id))
        raise SealBroken
    assert total("queries_ended_total") == 0
    with house.database.transaction() as connection:
        queries.fail(connection, query_id, Ending(cause="test", attempt_id=attempt_id))
        assert total("queries_ended_total") == 0
    assert total("queries_ended_total") == 1


def test_a_result_before_its_acknowledgement_has_no_time_on_the_way(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success())
    assert value("callbacks_judged_total", kind="result", disposition="applied") == 1
    assert value("callback_arrival_seconds_count", kind="result") == 0


def test_the_time_until_a_judgement_begins_at_the_door(house: House, attempt_id: UUID) -> None:
    message = delivery(house, attempt_id, success())
    message["received_at"] = (datetime.now(UTC) - timedelta(seconds=30)).isoformat()
    callbacks.record(house, [message])
    assert 30 <= value("callback_judgement_delay_seconds_sum") < 50


@pytest.mark.parametrize(
    ("reply", "outcome", "status"),
    [
        (json_reply({"errorCode": "500.003.02", "errorMessage": "Spike"}, 500), "not_taken", "5xx"),
        (json_reply({"errorCode": "400.002.02", "errorMessage": "Bad"}, 400), "refused", "4xx"),
        (Reply(200, b'{"ResponseCode": "0"'), "unknown", "2xx"),
    ],
)
def test_each_outcome_of_a_submission_is_counted(
    house: House, query_id: UUID, daraja: FakeDaraja, reply: Reply, outcome: str, status: str
) -> None:
    daraja.replies.append(reply)
    submit(house, query_id)
    assert value("submissions_total", outcome=outcome) == total("submissions_total") == 1
    assert value("daraja_request_duration_seconds_count", operation="query", status=status) == 1


def test_a_token_that_is_not_given_is_counted_by_its_app(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.token_replies.append(Reply(503))
    submit(house, query_id)
    assert value("token_requests_total", app="app", outcome="failed") == 1
    assert value("submissions_total", outcome="not_taken") == 1


def test_replies_that_the_broker_does_not_take_are_counted_as_put_off(house: House, bell: Bell) -> None:
    bell.refused.add("theirs")
    ask = {"shortcode": "1234567", "reply_to": {"task": "theirs.told", "queue": "theirs"}}
    intake.open_request(house, "00000000-0000-4000-8000-000000000002", ask)
    assert value("requests_total", answered_by="refused") == 1
    assert (value("replies_total", outcome="put_off"), value("replies_total", outcome="sent")) == (1, 0)


def test_a_task_is_quarantined_once(house: House) -> None:
    found = {"task_id": "x", "message": "e30=", "reason": "it has ended its process 3 times"}
    for _ in range(2):
        setting_aside.set_aside(house, task="mpesa_balance.sweep", **found)
    assert value("tasks_quarantined_total", task="mpesa_balance.sweep") == 1
