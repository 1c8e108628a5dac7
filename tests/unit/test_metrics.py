"""What the programs tell Prometheus: named as it wants things named, and never without an end."""

import re
from uuid import uuid4

import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

import webhooks.metrics
import worker.metrics
from mpesa_balance.happenings import CallbackSettled, QueryMoved
from mpesa_balance.result_codes import TABLE
from mpesa_balance.states import QueryState
from tests.exposed import families, series

FAMILIES = list(families())


def ended(code: str | None) -> QueryMoved:
    origin, to = QueryState.ACKNOWLEDGED, QueryState.FAILED
    return QueryMoved(query_id=uuid4(), origin=origin, to=to, seconds=1.0, late=False, code=code)


@pytest.fixture
def counted() -> worker.metrics.Counted:
    worker.metrics.counted.cache_clear()
    return worker.metrics.counted()


@pytest.fixture
def at_the_door() -> webhooks.metrics.Counted:
    webhooks.metrics.counted.cache_clear()
    return webhooks.metrics.counted()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_metric_is_named_by_the_conventions_of_prometheus(family: Metric) -> None:
    """https://prometheus.io/docs/practices/naming: one prefix, base units, their names at the end."""
    name, kind, text = family.name, family.type, family.documentation
    assert re.fullmatch(r"mpesa_balance(_[a-z0-9]+)+", name)
    assert not re.search(r"_(total|count|sum|bucket|info|created|milliseconds|ms|minutes|days)$", name)
    assert (kind in ("counter", "gauge")) or name.endswith("_seconds")
    assert name.endswith("_seconds") or not re.search(r"_(age|duration|expiry|wait|delay|slot)\b", name)
    assert re.fullmatch(r"[A-Z].*\.", text)


def test_no_two_programs_tell_of_one_name() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))


def test_what_is_told_is_read_by_the_parser_of_prometheus_with_help_and_type(
    counted: worker.metrics.Counted,
) -> None:
    worker.metrics.happened(ended("2001"))
    text = generate_latest(counted.registry).decode()
    for family in text_string_to_metric_families(text):
        assert f"# HELP {family.name}" in text
        assert f"# TYPE {family.name}" in text
        assert family.type in ("counter", "histogram", "gauge")


def test_a_code_that_nobody_knows_is_counted_as_other(counted: worker.metrics.Counted) -> None:
    for code in ("2001", None, "700000.00", uuid4().hex, *(str(number) for number in range(500))):
        worker.metrics.happened(ended(code))
    told = {sample.labels["code"] for sample in samples(counted, "mpesa_balance_queries_ended_total")}
    assert {"2001", "none", "other"} <= told <= {row.code for row in TABLE} | {"none", "other"}
    got = value(counted, "queries_ended_total", state="failed", code="2001", late="false")
    assert got == value(counted, "queries_ended_total", state="failed", code="none", late="false") == 1


def test_a_task_that_nobody_knows_is_counted_as_other(counted: worker.metrics.Counted) -> None:
    worker.metrics.quarantined("evil" + uuid4().hex)
    assert value(counted, "tasks_quarantined_total", task="other") == 1


def test_an_acknowledgement_ends_nothing_and_its_time_is_taken(counted: worker.metrics.Counted) -> None:
    origin, to = QueryState.PENDING, QueryState.ACKNOWLEDGED
    worker.metrics.happened(
        QueryMoved(query_id=uuid4(), origin=origin, to=to, seconds=3.0, late=False, code=None)
    )
    assert not any(sample.value for sample in samples(counted, "mpesa_balance_queries_ended_total"))
    assert value(counted, "query_state_duration_seconds_sum", state="pending") == 3


def test_only_what_applied_says_how_long_daraja_took(counted: worker.metrics.Counted) -> None:
    for disposition, arrived in (("applied", 4.0), ("noted", 9.0), ("applied", None)):
        worker.metrics.happened(
            CallbackSettled(
                kind="result", disposition=disposition, judged_after=-0.1, arrived_after=arrived
            )
        )
    assert value(counted, "callback_arrival_seconds_sum", kind="result") == 4
    assert value(counted, "callback_judgement_delay_seconds_count") == 3
    # Clocks of two hosts may disagree; nothing took less than no time.
    assert value(counted, "callback_judgement_delay_seconds_sum") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/health/ready",
        "/",
        "/callbacks/balance/result",
        "/callbacks/balance/x/other",
        "/result",
        "/x/result",
    ],
)
def test_what_is_no_callback_is_not_counted_as_one(
    at_the_door: webhooks.metrics.Counted, path: str
) -> None:
    before = generate_latest(at_the_door.registry)
    webhooks.metrics.answered(path, 200, 0.1)
    assert re.sub(rb".*_created.*\n", b"", generate_latest(at_the_door.registry)) == re.sub(
        rb".*_created.*\n", b"", before
    )


def test_what_was_never_whole_has_a_status_and_no_time(at_the_door: webhooks.metrics.Counted) -> None:
    webhooks.metrics.answered("/callbacks/balance/token/result", 408)
    labels = {"kind": "result", "status": "408"}
    assert at_the_door.registry.get_sample_value("mpesa_balance_webhook_callbacks_total", labels) == 1
    told = at_the_door.registry.get_sample_value(
        "mpesa_balance_webhook_answer_duration_seconds_count", {"kind": "result"}
    )
    assert told == 0


def test_no_label_could_hold_more_than_its_kinds() -> None:
    """Neither an id, nor an amount, nor an address, nor a text of somebody else."""
    bounded = {
        *("le", "kind", "status", "state", "code", "late", "outcome", "operation", "answered_by"),
        *("delivery", "disposition", "task", "table"),
        # What people have registered.
        *("app", "shortcode"),
    }
    assert {label for labels in series().values() for label in labels} == bounded


def samples(counted: worker.metrics.Counted, name: str) -> list[Sample]:
    told = [sample for family in counted.registry.collect() for sample in family.samples]
    return [sample for sample in told if sample.name == name]


def value(counted: worker.metrics.Counted, name: str, **labels: str) -> float:
    return counted.registry.get_sample_value(f"mpesa_balance_{name}", labels) or 0.0


def test_what_an_alert_looks_for_is_there_before_it_happens(counted: worker.metrics.Counted) -> None:
    """An increase is known from the second sample on: the first of a new series would be missed."""
    for name, labels in (
        ("queries_ended_total", {"state": "failed", "code": "other", "late": "false"}),
        ("task_duration_seconds_count", {"task": "mpesa_balance.sweep", "outcome": "failure"}),
        ("callbacks_judged_total", {"kind": "timeout", "disposition": "unmatched"}),
        ("submissions_total", {"outcome": "refused"}),
    ):
        assert counted.registry.get_sample_value(f"mpesa_balance_{name}", labels) == 0
