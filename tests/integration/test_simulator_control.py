"""Limits, maintenance, delays and the page: what can be turned at the simulator, and what cannot."""

import random
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mpesa_balance.cli.main import main
from ops.simulator import page
from ops.simulator.delays import Delays, draw
from ops.simulator.limits import Limits
from ops.simulator.server import SimulatorSettings
from tests.integration.simulator_desk import Desk, desk_for

PAGE = Path(__file__).parents[2] / "ops" / "docs" / "simulator.md"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Desk]:
    with desk_for(SimulatorSettings(port=0, callback_delay=0)) as desk:
        yield desk


def error(desk: Desk) -> str | None:
    """The error that a query with nothing wrong about it gets, if one."""
    code: str | None = desk.ask("600000").json().get("errorCode")
    return code


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def reason(limits: Limits) -> str | None:
    refusal = limits.refusal()
    return refusal.reason if refusal else None


def test_more_queries_than_the_limit_in_any_sliding_second_are_a_spike_arrest() -> None:
    """Half of each of two calendar seconds is a second, too."""
    clock = Clock()
    limits = Limits(per_second=2, clock=clock)
    seen = []
    for instant in (100.6, 100.9, 101.5, 101.6, 101.7, 101.9, 101.95):
        clock.now = instant
        seen.append(reason(limits))
    assert seen == [None, None, "500.003.02", None, "500.003.02", None, "500.003.02"]


def test_after_the_quota_every_query_is_refused_until_the_quota_is_changed(desk: Desk) -> None:
    assert desk.put("limits", {"quota": 2}).json() == {"per_second": None, "quota": 2, "used": 0}
    assert [error(desk) for _ in range(4)] == [None, None, "500.003.03", "500.003.03"]
    desk.put("limits", {"per_second": 1000})
    assert error(desk) == "500.003.03"
    desk.put("limits", {"quota": 1})
    assert [error(desk), error(desk)] == [None, "500.003.03"]


def test_a_spike_is_arrested_over_http_and_takes_nothing_of_the_quota(desk: Desk) -> None:
    desk.put("limits", {"per_second": 1, "quota": 50})
    answers = [error(desk) for _ in range(10)]
    assert "500.003.02" in answers
    assert desk.get("limits").json()["used"] == answers.count(None)


def test_maintenance_refuses_everything_until_it_ends(desk: Desk) -> None:
    desk.put("maintenance", {"seconds": 30})
    answer = desk.ask("600000")
    assert (answer.status_code, answer.json()["errorCode"]) == (500, "00.002.1001")
    desk.put("maintenance", {"seconds": 0})
    assert error(desk) is None


def test_maintenance_ends_by_itself() -> None:
    clock = Clock()
    limits = Limits(clock=clock)
    limits.maintain(30)
    clock.now += 29
    assert reason(limits) == "00.002.1001"
    clock.now += 1
    assert reason(limits) is None


@pytest.mark.parametrize(
    ("path", "document", "errors"),
    [
        ("limits", {"per_second": 0, "quota": "many"}, ["per_second must be", "quota must be"]),
        ("limits", {"per_second": 1.5, "quota": True, "x": 1}, ["per_second", "quota", "x is no setting"]),
        ("limits", [], ["the body must be a JSON object"]),
        ("maintenance", {}, ["seconds must be a number"]),
        ("maintenance", {"seconds": -1, "minutes": 1}, ["minutes is no setting", "seconds must be"]),
        ("maintenance", {"seconds": None}, ["seconds must be a number"]),
        ("maintenance", "x", ["the body must be a JSON object"]),
    ],
)
def test_bad_input_is_a_400_that_names_everything_wrong(
    desk: Desk, path: str, document: Any, errors: list[str]
) -> None:
    answer = desk.put(path, document)
    assert answer.status_code == 400
    said = sorted(answer.json()["errors"])
    assert len(said) == len(errors)
    assert all(line.startswith(start) for line, start in zip(said, sorted(errors), strict=True))
    assert error(desk) is None


@pytest.mark.parametrize("after", ["x", "-1", "1.5"])
def test_a_page_of_the_ledger_begins_after_a_number(desk: Desk, after: str) -> None:
    answer = desk.get(f"ledger?after={after}")
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        ["after must be the number of an entry, or 0"],
    )


def test_delays_are_log_normal_about_their_median() -> None:
    chance = random.Random(1)
    drawn = [draw(chance, 2.0, 0.3) for _ in range(4000)]
    assert min(drawn) > 0
    assert statistics.median(drawn) == pytest.approx(2.0, rel=0.03)
    logarithms = [statistics.math.log(seconds) for seconds in drawn]
    assert statistics.stdev(logarithms) == pytest.approx(0.3, rel=0.05)


def test_no_delay_stays_none_and_no_spread_is_the_median() -> None:
    assert draw(random.Random(1), 0, 0.3) == 0
    assert draw(random.Random(1), 1.5, 0) == pytest.approx(1.5)


def test_one_seed_draws_each_shortcode_its_own_delays_again() -> None:
    def drawn(seed: int, shortcode: str, between: str) -> list[float]:
        delays = Delays(seed, 1.0, 0.3)
        return [delays.next(each) for each in (shortcode, between, shortcode)][::2]

    assert drawn(1, "600000", "600001") == drawn(1, "600000", "600002")
    assert drawn(1, "600000", "600002") != drawn(1, "600001", "600002")
    assert drawn(1, "600000", "600002") != drawn(2, "600000", "600002")


def test_the_page_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["simulator", "--list"])
    assert (printed.exit_code, printed.output) == (0, page.page())
    assert PAGE.read_text() == page.page(), (
        "write it again: mpesa-balance simulator --list > ops/docs/simulator.md"
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SIMULATOR_LOCK_AFTER", "0"), ("SIMULATOR_QUOTA", "x"), ("SIMULATOR_CALLBACK_SPREAD", "-1")],
)
def test_an_option_is_read_from_the_environment_too(variable: str, value: str) -> None:
    """A wrong value tells that it was read, without a server that would have to be ended."""
    done = CliRunner().invoke(main, ["simulator"], env={variable: value})
    assert done.exit_code == 2
    assert variable in done.output


def test_a_wrong_plan_is_told_at_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text('{"600000": "lat"}')
    done = CliRunner().invoke(main, ["simulator", "--port", "0"], env={"SIMULATOR_SCENARIOS": str(file)})
    assert done.exit_code == 5
    assert f"{file}: 'lat' (for '600000') is no scenario" in done.output
