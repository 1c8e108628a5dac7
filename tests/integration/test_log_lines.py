"""What the log tells of one query: every line names it, and no line names another."""

import logging
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from structlog.contextvars import get_contextvars

from mpesa_balance.callback_urls import CallbackSigner
from mpesa_balance.settings import WebhookSettings
from tests.conftest import open_query
from tests.integration.answers import begin, failure, record, success
from tests.logged import events
from webhooks.app import create_app
from worker.house import House
from worker.intake import open_request
from worker.submission import submit


@pytest.fixture(autouse=True)
def nothing_is_left_bound(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO)
    yield
    assert get_contextvars() == {}


def test_a_submission_names_the_query_that_was_sent_and_not_the_one_it_was_rung_for(
    house: House, query_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    second = open_query(house.database)
    for _ in range(2):
        submit(house, second)
    told = events(caplog, "query_acknowledged")
    assert [event["query_id"] for event in told] == [query_id, second]
    assert len({event["attempt_id"] for event in told}) == 2
    (idle,) = events(caplog, "nothing_due")
    assert (idle["query_id"], "attempt_id" in idle) == (second, False)


def test_a_callback_names_its_query_its_attempt_and_itself(
    house: House, query_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    attempt_id = begin(house, query_id)
    record(house, attempt_id, failure())
    record(house, uuid4(), success())
    settled, unmatched = events(caplog, "callback_settled")
    assert (settled["query_id"], settled["attempt_id"]) == (query_id, attempt_id)
    assert unmatched["query_id"] is None
    assert settled["callback_id"] != unmatched["callback_id"]


def test_callbacks_that_complete_queries_together_name_them_in_one_line(
    house: House, query_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    record(house, begin(house, query_id), success())
    (settled,) = events(caplog, "callbacks_settled")
    assert (settled["query_ids"], settled["disposition"]) == ([query_id], "applied")


def test_a_request_names_itself_and_the_query_that_answers_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = str(uuid4())
    open_request(house, task_id, {"shortcode": "600000"})
    open_request(house, str(uuid4()), {"shortcode": "6"})
    (answered,) = events(caplog, "request_answered")
    assert (str(answered["request_id"]), answered["shortcode"]) == (task_id, "600000")
    assert answered["query_id"]
    (refused,) = events(caplog, "request_refused")
    assert refused["request_id"] != answered["request_id"]


def test_a_callback_that_cannot_be_kept_is_refused_in_its_own_name(
    webhook_settings: WebhookSettings, signer: CallbackSigner, caplog: pytest.LogCaptureFixture
) -> None:
    # Neither the disk nor the broker takes anything.
    webhook_settings.spool_directory.write_text("")
    client, attempt_id = create_app(webhook_settings).test_client(), uuid4()
    assert (
        client.post(f"/callbacks/balance/{signer.token(attempt_id)}/result", data=b"{}").status_code == 503
    )
    assert client.get("/nowhere").status_code == 404
    first, second = events(caplog, "http_request_refused")
    assert (first["status"], first["attempt_id"], first["kind"]) == (503, attempt_id, "result")
    assert (second["status"], "attempt_id" in second) == (404, False)
