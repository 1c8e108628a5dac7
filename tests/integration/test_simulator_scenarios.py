"""What M-PESA makes of a query, over real HTTP: each behaviour, odd acknowledgement and result code."""

from collections.abc import Iterator
from typing import Any

import pytest

from mpesa_balance.errors import CallbackUnreadable
from mpesa_balance.results import read_result
from ops.simulator.scenarios import BY_NAME, BY_NUMBER, SCENARIOS, Scenario
from ops.simulator.scenarios.behaviours import ACKNOWLEDGEMENTS, RESULTS, TIMEOUTS
from ops.simulator.scenarios.refusals import REFUSALS
from ops.simulator.server import SimulatorSettings
from tests.integration.simulator_desk import Desk, Heard, desk_for
from tests.waiting import eventually

#: What is heard of each behaviour, in its order.
TOLD = {
    "success": ["balance"],
    "early": ["balance"],
    "duplicate": ["balance", "balance"],
    "conflicting": ["balance", "balance"],
    "late": ["timeout", "balance"],
    "after-deadline": ["balance"],
    "out-of-order": ["balance", "timeout"],
    "never": [],
    "more-follows": ["more follows", "balance"],
    "unreadable": ["no balance"],
    "foreign": ["of another"],
}


def named(scenario: Scenario) -> str:
    return scenario.name


@pytest.fixture(scope="module")
def simulator() -> Iterator[Desk]:
    settings = SimulatorSettings(port=0, callback_delay=0.001, late_seconds=0.1)
    with desk_for(settings) as desk:
        yield desk


def told(heard: Heard, acknowledgement: dict[str, Any]) -> str:
    """What a callback says, in a word or two."""
    if heard.kind == "timeout":
        return "timeout"
    result = read_result(heard.payload)
    ours = (acknowledgement.get("OriginatorConversationID"), acknowledgement["ConversationID"])
    if result.has_ids_other_than(*ours):
        return "of another"
    if not result.is_final:
        return "more follows"
    try:
        result.balance()
    except CallbackUnreadable:
        return "no balance"
    return "balance"


@pytest.mark.parametrize("scenario", RESULTS, ids=named)
def test_a_behaviour_is_acknowledged_and_tells_its_story(desk: Desk, scenario: Scenario) -> None:
    answer = desk.ask(scenario.number)
    assert (answer.status_code, answer.json()["ResponseCode"]) == (200, "0")
    assert [told(heard, answer.json()) for heard in desk.settled()] == TOLD[scenario.name]


def test_an_early_result_is_answered_before_its_acknowledgement_is_written(desk: Desk) -> None:
    answer = desk.ask(BY_NAME["early"].number)
    assert [told(heard, answer.json()) for heard in desk.heard] == ["balance"]
    assert [entry["kind"] for entry in desk.get("ledger").json()["entries"]][-3:] == [
        "query",
        "callback",
        "answer",
    ]


def test_a_duplicate_is_the_same_bytes_and_a_conflict_other_amounts_of_one_conversation(desk: Desk) -> None:
    desk.ask(BY_NAME["duplicate"].number)
    first, second = desk.settled()
    assert first == second
    desk.ask(BY_NAME["conflicting"].number)
    _, _, first, second = desk.settled()
    assert read_result(first.payload).conversation_id == read_result(second.payload).conversation_id
    assert read_result(first.payload).raw_balance != read_result(second.payload).raw_balance


@pytest.mark.parametrize("name", ["late", "out-of-order", "conflicting", "more-follows", "duplicate"])
def test_the_second_callback_waits_until_the_first_was_answered(desk: Desk, name: str) -> None:
    desk.answering.clear()
    desk.ask(BY_NAME[name].number)
    try:
        eventually(lambda: desk.heard)
        heard = [len(desk.heard) for _ in range(20) if desk.get("ledger").ok]
        assert set(heard) == {1}
        assert desk.get("ledger/summary").json()["callbacks"]["pending"] == 2
    finally:
        desk.answering.set()
    assert len(desk.settled()) == 2


@pytest.mark.parametrize("scenario", TIMEOUTS, ids=named)
def test_a_queue_timeout_comes_to_its_own_address_in_its_shape(desk: Desk, scenario: Scenario) -> None:
    query = desk.body(PartyA=scenario.number)
    acknowledgement = desk.post(query).json()
    (heard,) = desk.settled()
    assert heard.kind == "timeout"
    ids = {name: acknowledgement[name] for name in ("OriginatorConversationID", "ConversationID")}
    assert heard.document == {
        "timeout-envelope": {
            "Result": ids
            | {"ResultType": 1, "ResultCode": 1, "ResultDesc": "The service request timed out."}
        },
        "timeout-ids": {"ConversationID": ids["ConversationID"]},
        "timeout-echo": query,
        "timeout-empty": {},
    }.get(scenario.name)


@pytest.mark.parametrize("scenario", ACKNOWLEDGEMENTS, ids=named)
def test_an_odd_acknowledgement_is_a_200_and_only_a_taken_query_is_called_back(
    desk: Desk, scenario: Scenario
) -> None:
    answer = desk.ask(scenario.number)
    assert answer.status_code == 200
    document = answer.json()
    told_ids = {name for name in document if document[name] and name.endswith("ID")}
    assert (document["ResponseCode"], told_ids) == {
        "empty-acknowledgement": ("", set()),
        "rejected-acknowledgement": ("400002", {"OriginatorConversationID", "ConversationID"}),
        "no-id": ("0", {"ConversationID"}),
        "typo": ("0", {"OriginatorCoversationID", "ConversationID"}),
    }[scenario.name]
    assert len(desk.settled()) == len(scenario.dispositions)


@pytest.mark.parametrize("scenario", REFUSALS, ids=named)
def test_a_result_code_is_acknowledged_and_told_with_its_meaning(desk: Desk, scenario: Scenario) -> None:
    assert desk.ask(scenario.number).json()["ResponseCode"] == "0"
    (heard,) = desk.settled()
    result = read_result(heard.payload)
    assert (result.code, result.is_success, result.is_final) == (scenario.refused_code, False, True)
    assert result.description
    assert f"result-{result.code}" == scenario.name


def test_names_and_numbers_of_scenarios_are_their_own() -> None:
    assert len(BY_NAME) == len(SCENARIOS)
    assert len(BY_NUMBER) == len(SCENARIOS) - 1
    assert "600000" not in BY_NUMBER
