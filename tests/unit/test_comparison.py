"""The report of the comparison bench: ratios of the same round, goals that are met or missed."""

import math
from pathlib import Path

import pytest

from ops.bench.comparison import document
from ops.bench.figures.figure import Figure, Goal, Reading
from ops.bench.readings import Readings, is_met

RATIO = Goal(number="rate", against="peer", at_least=2)


def figure(*goals: Goal) -> Figure:
    return Figure(
        name="speed", title="Speed", note="How fast.", systems={}, shown=("rate", "lost"), goals=goals
    )


def readings(ours: list[float], peer: list[float]) -> Readings:
    made = Readings("speed", ["On a machine."])
    for mine, its in zip(ours, peer, strict=True):
        made.add("ours", Reading({"rate": mine, "lost": 0}))
        made.add("peer", Reading({"rate": its}))
    return made


def test_a_ratio_is_that_of_one_round_and_then_the_median_of_those() -> None:
    # The medians of the rates would make 3 of it.
    held = readings([300, 100, 900], [100, 50, 900]).held(RATIO)
    assert held == [3, 2, 1]
    assert is_met(RATIO, held)


def test_a_goal_that_is_missed_or_was_not_measured_is_not_met() -> None:
    assert is_met(RATIO, [1.9]) is False
    assert is_met(RATIO, []) is None
    assert is_met(Goal(number="lost", at_most=0), [0, 1, 2]) is False


def test_a_peer_that_did_nothing_is_no_measure() -> None:
    held = readings([300], [0]).held(RATIO)
    assert math.isnan(held[0])
    assert is_met(RATIO, held) is False


def test_the_report_names_every_goal_and_what_was_reached() -> None:
    text = document([(figure(RATIO, Goal(number="lost", at_most=0)), readings([250, 350], [100, 100]))])
    assert "| Speed | rate, ratio to peer ≥ 2 | 3 | 2.5, 3.5 | met |" in text
    assert "| lost ≤ 0 | 0 | 0, 0 | met |" in text
    assert "| ours | 300 (250 to 350) | 0 |" in text
    # What a system does not have is left out.
    assert "| peer | 100 |  |" in text


def test_what_was_measured_is_read_again_as_it_was_written(tmp_path: Path) -> None:
    made = readings([1.23456789, 2], [3, 4])
    made.systems["ours"].append(Reading({"rate": 5}, {"memory": [(0.5, 100.0)]}))
    made.write(tmp_path)
    again = Readings.read("speed", tmp_path)
    assert again is not None
    assert again.values("ours", "rate") == [pytest.approx(1.2346), 2, 5]
    assert again.systems["ours"][-1].lines == {"memory": [(0.5, 100.0)]}
    assert Readings.read("another", tmp_path) is None
