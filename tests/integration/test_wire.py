"""The wire as callers of version 1 know it: what they send is taken, what they are sent has its form."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from mpesa_balance import BalanceAnswer, contract
from mpesa_balance.contract import BalanceAsk
from tests.conftest import SHORTCODE, Bell
from tests.integration.answers import begin, failure, record, row, success
from worker.house import House
from worker.intake import open_request

WIRE: dict[str, Any] = json.loads((Path(__file__).parent / "wire-1.json").read_text())


def test_the_tasks_have_their_names_and_their_queues() -> None:
    assert {name: contract.QUEUES[name] for name in WIRE["tasks"]} == WIRE["tasks"]


@pytest.mark.parametrize("ask", WIRE["asks"])
def test_what_callers_send_is_taken(ask: dict[str, Any]) -> None:
    read = BalanceAsk.read(ask)
    given = {name: value for name, value in ask.items() if value is not None}
    assert {name: getattr(read, name) for name in given} == given


def test_a_key_gives_the_id_that_it_gave_before() -> None:
    for known in WIRE["request_ids"]:
        found = contract.request_id_for(known["shortcode"], known["idempotency_key"])
        assert found == UUID(known["request_id"])


def test_an_answer_is_read_and_written_as_before() -> None:
    answer = BalanceAnswer.read(WIRE["answer"])
    assert json.loads(json.dumps(answer.document())).items() >= WIRE["answer"].items()


def test_an_answer_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    later = WIRE["answer"] | {"mood": "good"}
    assert BalanceAnswer.read(later) == BalanceAnswer.read(WIRE["answer"])


def test_the_channels_for_answers_have_their_form() -> None:
    assert contract.is_answers_channel(WIRE["answers_channel"])


def kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def test_what_callers_are_told_has_its_form(house: House, bell: Bell) -> None:
    reply_to = {"task": "payroll.balance_known", "queue": "payroll"}
    for payload in (success(), failure(), None):
        ask = {"shortcode": SHORTCODE if payload else "999999", "reply_to": reply_to, "force": True}
        request_id = uuid4()
        open_request(house, str(request_id), ask)
        if payload:
            query = row(house, "SELECT query_id FROM balance_requests WHERE id = %s", request_id)
            record(house, begin(house, query["query_id"]), payload)
    states = set()
    for _, _, event in bell.told:
        sent = json.loads(json.dumps(event))
        kinds = {
            name: "null" if sent[name] is None else type(sent[name]).__name__ for name in WIRE["event"]
        }
        assert {name: kind for name, kind in kinds.items() if kind not in WIRE["event"][name]} == {}
        assert sent["version"] == 1
        states.add(sent["state"])
    assert states == {"completed", "failed", "refused"}
    assert states <= set(WIRE["event_states"])
