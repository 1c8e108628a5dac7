"""A real worker tells a real receiver of the requests that it has ended."""

from pathlib import Path

import pytest

from mpesa_balance import BalanceClient
from tests.e2e.alone import working
from tests.integration.answers import rows
from tests.integration.collecting import collecting
from tests.waiting import eventually
from worker.house import House

pytestmark = pytest.mark.slow


def test_a_worker_tells_of_what_it_has_ended_and_of_the_rest_when_it_stops(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    with collecting() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "SWEEP_INTERVAL_SECONDS": "1"}
        with (
            working(environment, tmp_path, **traced) as worker,
            BalanceClient(environment["BROKER_URL"]) as client,
        ):
            request_id = client.request_balance("600000")
            overdue = "UPDATE balance_queries SET deadline_at = now() RETURNING id"
            eventually(lambda: rows(house, overdue))
            eventually(lambda: rows(house, "SELECT FROM balance_queries WHERE state = 'timed_out'"))
            worker.process.terminate()
            worker.process.wait(timeout=90)
        (whole,) = [span for span in collector.taken if span.name == "balance request"]
        assert whole.trace_id.hex() == request_id.hex
