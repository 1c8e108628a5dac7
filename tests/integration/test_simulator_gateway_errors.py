"""What comes instead of an acknowledgement: the gateway's errors in the words of the samples, and less."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from mpesa_balance.errors import DarajaUnclear
from mpesa_balance.results import read_result
from ops.simulator.scenarios import BY_NAME, Scenario
from ops.simulator.scenarios.gateway_errors import GATEWAY_ERRORS
from ops.simulator.server import SimulatorSettings
from tests import samples
from tests.integration.simulator_desk import Desk, desk_for
from worker.daraja import Daraja

#: The sample whose status and words each error of the gateway has.
SAMPLES = {
    "http-404.001.03": "404.001.03-http404-lnmo-41",
    "http-401.002.01": "401.002.01-invalid-access-token",
    "http-400.003.01": "400.003.01-invalid-access-token",
    "http-500.003.02": "500.003.02-spike-arrest",
    "http-500.003.03": "500.003.03-quota",
    "http-500.003.1001": "500.003.1001-internal",
    "http-500.002.1001": "500.002.1001-system-internal",
    "http-00.002.1001": "00.002.1001-maintenance",
    "http-502": "bad-gateway-502",
    "http-503": "incapsula-503",
    "html": "incapsula-200-html",
    "empty-200": "empty-200",
    "http-400.002.02-initiator": "400.002.02-bad-request-invalid-initiator",
    "http-400.002.02-initiatorname": "400.002.02-bad-request-invalid-initiatorname",
    "http-400.002.02-securitycredential": "400.002.02-bad-request-invalid-securitycredential",
    "http-400.002.02-remarks": "400.002.02-bad-request-invalid-remarks",
    "http-404.001.01": "404.001.01",
    "http-404.002.01": "404.002.01",
    "http-404.003.01": "404.003.01",
    "http-405.001": "405.001",
    "http-500.001.1001": "500.001.1001-wrong-credentials",
    "http-500.002.1001-duplicate": "500.002.1001-duplicate-originator",
}

BROKEN = ("truncated", "drip", "reset")
ERRORS = [one for one in GATEWAY_ERRORS if one.name not in BROKEN]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Desk]:
    with desk_for(SimulatorSettings(port=0, callback_delay=0, drip_seconds=60)) as desk:
        yield desk


def named(scenario: Scenario) -> str:
    return scenario.name


def summary(response: requests.Response) -> Any:
    """Status, code and text of an answer; the whole body where it is no JSON."""
    return response.status_code, worded(response.text)


def worded(body: str) -> Any:
    if not body.startswith("{"):
        return body
    document = json.loads(body)
    # The token at the end of 401.002.01 is that of the request.
    return document["errorCode"], document["errorMessage"].partition(" - Invalid Access Token - ")[0]


@pytest.mark.parametrize("scenario", ERRORS, ids=named)
def test_an_error_of_the_gateway_comes_once_where_it_passes_and_for_ever_where_not(
    desk: Desk, scenario: Scenario
) -> None:
    first, second = desk.ask(scenario.number), desk.ask(scenario.number)
    if sample := SAMPLES.get(scenario.name):
        expected = samples.document(f"http/{sample}.json")
        assert summary(first) == (expected["http_status"], worded(expected["body"]))
    if scenario.state == "completed":
        assert second.json()["ResponseCode"] == "0"
        assert [read_result(heard.payload).is_success for heard in desk.settled()] == [True]
    else:
        assert summary(first) == summary(second)
        assert first.json()["errorCode"] == scenario.refused_code
        assert desk.settled() == []


def test_only_two_errors_of_the_gateway_have_no_sample_and_they_are_told_in_full(desk: Desk) -> None:
    without = {scenario.name: scenario for scenario in ERRORS if scenario.name not in SAMPLES}
    assert set(without) == {"http-no-apiproduct", "http-400.002.05"}
    answer = desk.ask(without["http-no-apiproduct"].number)
    assert (answer.status_code, answer.json()["ResponseCode"]) == (401, "")
    assert answer.json()["ResponseDescription"].endswith("no apiproduct match found")


def test_an_invalid_token_is_repeated_in_the_text_of_its_error(desk: Desk) -> None:
    """So that what must not get into a log is there to be left out."""
    token = desk.token()
    answer = desk.post(desk.body(PartyA=BY_NAME["http-401.002.01"].number), token)
    assert answer.json()["errorMessage"] == f"Error Occurred - Invalid Access Token - {token}"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_acknowledgement_is_unclear_and_its_result_comes_all_the_same(
    desk: Desk, name: str
) -> None:
    app, token = desk.app(), desk.token()
    with pytest.raises(DarajaUnclear):
        Daraja(timeout=0.5).ask(app, token, desk.body(PartyA=BY_NAME[name].number))
    (heard,) = desk.settled()
    assert read_result(heard.payload).is_success


def test_a_truncated_acknowledgement_is_less_than_was_announced(desk: Desk) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        desk.ask(BY_NAME["truncated"].number)


def test_a_reset_is_no_polite_end_of_the_connection(desk: Desk) -> None:
    with pytest.raises(requests.ConnectionError, match="Connection reset by peer"):
        desk.ask(BY_NAME["reset"].number)
