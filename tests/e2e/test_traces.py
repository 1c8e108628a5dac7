"""A real worker tells a real receiver of the requests that it has ended."""

import socket
import time
from pathlib import Path
from uuid import UUID

import pytest

from mpesa_balance import BalanceClient
from tests.e2e.alone import working
from tests.integration.answers import rows
from tests.integration.collecting import collecting
from tests.waiting import eventually
from worker.house import House
from worker.stopping import TASKS_HAVE

pytestmark = pytest.mark.slow


def end_a_request(house: House, client: BalanceClient) -> UUID:
    request_id = client.request_balance("600000")
    eventually(lambda: rows(house, "UPDATE balance_queries SET deadline_at = now() RETURNING id"))
    eventually(lambda: rows(house, "SELECT FROM balance_queries WHERE state = 'timed_out'"))
    return request_id


def test_a_worker_tells_of_what_it_has_ended_and_of_the_rest_when_it_stops(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    with collecting() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "SWEEP_INTERVAL_SECONDS": "1"}
        with (
            working(environment, tmp_path, **traced) as worker,
            BalanceClient(environment["BROKER_URL"]) as client,
        ):
            request_id = end_a_request(house, client)
            worker.process.terminate()
            worker.process.wait(timeout=90)
        (whole,) = [span for span in collector.taken if span.name == "balance request"]
        assert whole.trace_id.hex() == request_id.hex


def test_a_collector_that_says_nothing_does_not_hold_up_the_end_of_a_worker(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "SWEEP_INTERVAL_SECONDS": "1"}
        # So long its exporter would wait for it.
        patient = {"OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
        with (
            working(environment, tmp_path, **traced, **patient) as worker,
            BalanceClient(environment["BROKER_URL"]) as client,
        ):
            end_a_request(house, client)
            begun = time.monotonic()
            worker.process.terminate()
            assert worker.process.wait(timeout=90) == 0
            assert time.monotonic() - begun < TASKS_HAVE
