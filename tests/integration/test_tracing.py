"""One trace of each request, from its caller's span to the reply, told to a real receiver."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
import redis
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider

from mpesa_balance import BalanceClient
from mpesa_balance.contract import trace_parent
from tests.conftest import SHORTCODE, Bell
from tests.integration import queued
from tests.integration.amounts import says
from tests.integration.answers import begin, failure, record, row, rows, success
from tests.integration.collecting import Collector, collecting
from worker import tracing
from worker.house import House
from worker.intake import open_request

CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        tracing._processor_of.cache_clear()
        yield made
        tracing._processor_of.cache_clear()


def told(collector: Collector) -> dict[str, Span]:
    """What was told of, by name."""
    processor = tracing._processor()
    assert processor is not None
    assert processor.force_flush()
    return {span.name: span for span in collector.taken}


def ask(house: House, parent: str | None = None, **message: object) -> UUID:
    request_id = uuid4()
    asked = {"shortcode": SHORTCODE, **message}
    open_request(house, str(request_id), asked, trace_parent=parent)
    return request_id


def answered(house: House, request_id: UUID, payload: bytes = success()) -> None:
    query = row(house, "SELECT query_id FROM balance_requests WHERE id = %s", request_id)
    record(house, begin(house, query["query_id"]), payload)


def test_a_request_is_told_of_in_its_callers_trace(house: House, collector: Collector) -> None:
    request_id = ask(house, CALLERS)
    answered(house, request_id)
    spans = told(collector)
    assert set(spans) == {
        "balance request",
        "submit to Daraja",
        "wait for the callback",
        "record and judge the callback",
    }
    assert {span.trace_id.hex() for span in spans.values()} == {CALLERS.split("-")[1]}
    whole = spans.pop("balance request")
    assert whole.parent_span_id.hex() == CALLERS.split("-")[2]
    assert {span.parent_span_id for span in spans.values()} == {whole.span_id}
    assert len({span.span_id for span in spans.values()}) == 3
    for span in spans.values():
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    about = {one.key: one.value.string_value for one in whole.attributes}
    assert (about["mpesa_balance.state"], about["mpesa_balance.request_id"]) == (
        "completed",
        str(request_id),
    )
    assert not says("700000", str(collector.taken))


def test_a_caller_without_a_trace_gets_one_whose_id_is_the_requests(
    house: House, collector: Collector
) -> None:
    request_id = ask(house)
    answered(house, request_id, failure("2001"))
    whole = told(collector)["balance request"]
    assert (whole.trace_id.hex(), whole.parent_span_id) == (request_id.hex, b"")


def test_the_reply_goes_on_with_the_trace(house: House, bell: Bell, collector: Collector) -> None:
    request_id = ask(house, CALLERS, reply_to={"task": "payroll.told", "queue": "payroll"})
    answered(house, request_id)
    (headers,) = bell.headers
    whole = told(collector)["balance request"]
    assert headers["traceparent"] == f"00-{CALLERS.split('-')[1]}-{whole.span_id.hex()}-01"


def test_an_answer_at_hand_is_told_of_at_once(house: House, collector: Collector) -> None:
    answered(house, ask(house))
    rows(house, "UPDATE balances SET as_of = now() RETURNING query_id")
    request_id = ask(house, CALLERS, max_age=600)
    told(collector)
    (whole,) = [span for span in collector.taken if span.trace_id.hex() == CALLERS.split("-")[1]]
    about = {one.key: one.value.string_value for one in whole.attributes}
    assert about["mpesa_balance.request_id"] == str(request_id)
    assert about["mpesa_balance.answered_by"] == "reused"


def test_where_nobody_listens_nothing_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    answered(house, ask(house, CALLERS))
    assert tracing._processor() is None
    assert tracing._queries == []


def test_the_client_sends_the_trace_that_its_caller_is_in(broker_url: str, store: redis.Redis) -> None:
    tracer = TracerProvider().get_tracer("payroll")
    with BalanceClient(broker_url) as client, tracer.start_as_current_span("pay") as span:
        client.request_balance(SHORTCODE)
    with BalanceClient(broker_url) as client:
        client.request_balance(SHORTCODE)
    traced, untraced = queued.messages(store, "mpesa-requests")
    context = span.get_span_context()
    carried = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert trace_parent(traced["headers"]) == carried
    assert trace_parent(untraced["headers"]) is None


NO_TRACES = ("", "x", 5, None, CALLERS.upper(), "01" + CALLERS[2:], CALLERS + "-00", CALLERS[:-4] + "g-01")


@pytest.mark.parametrize("value", NO_TRACES)
def test_what_is_no_trace_is_passed_over(value: object) -> None:
    assert trace_parent({"traceparent": value}) is None
    assert trace_parent(None) is None
