"""Which scenario a submission gets: by its shortcode, by a file, and by what is put while it runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mpesa_balance.errors import RequestRefused
from ops.simulator.plan import Plan, read_plan, read_plan_file
from ops.simulator.scenarios import BY_NAME, BY_NUMBER, SCENARIOS
from ops.simulator.server import SimulatorSettings, create_server
from tests.integration.simulator_desk import Desk, desk_for


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    file.write_text(json.dumps({"600500": ["never", "typo", "result-25"], "default": "no-id"}))
    with desk_for(SimulatorSettings(port=0, callback_delay=0, scenarios=file)) as desk:
        yield desk


def played(desk: Desk) -> list[str]:
    """The scenarios that were played so far."""
    return [entry["scenario"] for entry in desk.entries("answer")]


def names(plan: Plan, shortcode: str, count: int) -> list[str]:
    return [plan.next(shortcode).name for _ in range(count)]


@pytest.mark.parametrize("number", ["600101", "600217", "600310"])
def test_a_documented_shortcode_gets_its_scenario_whatever_the_default(desk: Desk, number: str) -> None:
    desk.ask(number)
    assert played(desk) == [BY_NUMBER[number].name]


def test_a_list_of_a_file_is_consumed_one_name_a_submission_and_its_last_repeats(desk: Desk) -> None:
    for _ in range(4):
        desk.ask("600500")
    assert played(desk) == ["never", "typo", "result-25", "result-25"]


def test_600000_and_every_unknown_shortcode_get_the_default(desk: Desk) -> None:
    for shortcode in ("600000", "174379"):
        desk.ask(shortcode)
    assert played(desk) == ["no-id", "no-id"]


def test_what_is_put_is_merged_and_begins_anew_and_what_is_deleted_is_the_file_again(desk: Desk) -> None:
    desk.ask("600500")
    shown = desk.put("scenarios", {"600500": ["early", "never"], "600101": "success"}).json()
    assert shown == {"600500": ["early", "never"], "600101": "success", "default": "no-id"}
    assert desk.get("scenarios").json() == shown
    for shortcode in ("600500", "600101", "174379"):
        desk.ask(shortcode)
    desk.delete("scenarios")
    assert desk.get("scenarios").json() == {"600500": ["never", "typo", "result-25"], "default": "no-id"}
    desk.ask("600500")
    assert played(desk) == ["never", "early", "success", "no-id", "never"]


def test_a_plan_that_is_put_again_may_be_what_was_shown(desk: Desk) -> None:
    shown = desk.get("scenarios").json()
    assert desk.put("scenarios", shown).json() == shown


def test_what_is_refused_before_mpesa_sees_it_consumes_nothing(desk: Desk) -> None:
    desk.post(desk.body(PartyA="600500", Remarks=""))
    desk.post(desk.body(PartyA="600500"), "forged")
    desk.ask("600500")
    assert played(desk) == [None, None, "never"]


def test_an_error_that_passes_comes_once_also_at_the_end_of_a_list() -> None:
    plan = Plan({"600000": ("late", "http-502"), "600001": ("http-502", "late")})
    assert names(plan, "600000", 4) == ["late", "http-502", "success", "success"]
    assert names(plan, "600001", 3) == ["http-502", "late", "late"]
    assert names(plan, "600315", 2) == ["http-502", "success"]


def test_shortcodes_consume_their_lists_apart() -> None:
    plan = Plan({"default": ("late", "never")})
    assert names(plan, "174379", 2) == names(plan, "174380", 2) == ["late", "never"]


def test_a_default_that_is_put_begins_anew_for_those_only_that_have_no_list() -> None:
    plan = Plan({"600000": ("late", "never"), "default": ("late", "never")})
    for shortcode in ("600000", "174379"):
        plan.next(shortcode)
    plan.merge({"default": ("typo", "early")})
    assert names(plan, "600000", 1) == ["never"]
    assert names(plan, "174379", 2) == ["typo", "early"]


WRONG_PLANS = (
    ([], "a plan must be a JSON object"),
    ({"60": "late"}, "'60' is neither 5 to 12 digits nor 'default'"),
    ({"600000": "lat"}, "'lat' (for '600000') is no scenario"),
    ({"600000": []}, "'600000' must have the name of a scenario"),
    ({"600000": {"late": 1}}, "'600000' must have the name of a scenario"),
    ({"default": [7]}, "7 (for 'default') is no scenario"),
    ({"default": [["late"]]}, "['late'] (for 'default') is no scenario"),
)


@pytest.mark.parametrize(("document", "violation"), WRONG_PLANS)
def test_a_wrong_plan_is_refused_with_what_is_wrong(document: Any, violation: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        read_plan(document)
    assert refused.value.violations[0].startswith(violation)


def test_everything_wrong_with_a_plan_is_said_at_once_and_then_what_there_is(desk: Desk) -> None:
    answer = desk.put("scenarios", {"60": "lat", "600000": ["late", "nevr"]})
    assert answer.status_code == 400
    *violations, known = answer.json()["errors"]
    assert len(violations) == 3
    assert all(scenario.name in known for scenario in SCENARIOS)
    # Nothing of a plan that is wrong is taken.
    assert "600000" not in desk.get("scenarios").json()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "is not JSON"), ('{"1": "x"}', "neither 5 to 12 digits"), (None, "cannot be read")],
)
def test_a_wrong_file_is_named_and_keeps_the_simulator_from_starting(
    tmp_path: Path, text: str | None, reason: str
) -> None:
    file = tmp_path / "plan.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(RequestRefused, match=reason) as refused:
        create_server(SimulatorSettings(port=0, scenarios=file))
    assert str(file) in str(refused.value)


def test_a_file_may_hold_every_scenario(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"600000": list(BY_NAME)}))
    assert names(Plan(read_plan_file(file)), "600000", len(BY_NAME)) == list(BY_NAME)
