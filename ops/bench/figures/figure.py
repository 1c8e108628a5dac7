"""What a figure is: the systems that it compares, what is measured of each, and the goals."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

#: The name of our own system in every figure.
OURS: Final = "ours"

#: Some points of a line, such as seconds and MiB.
Line = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one round of one system gave: numbers by name, and lines to plot by theirs."""

    numbers: Mapping[str, float]
    lines: Mapping[str, Line] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is to be reached: our `number`, or its ratio to that of a peer in the same round.

    at_least, at_most: the one that is not None is held against the median over the rounds.
    """

    number: str
    against: str | None = None
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. Each of its systems is a function that runs one round, on new servers, and reads it.

    shown: the numbers that stand in the report, in this order; the first one is plotted.
    axes: what the lines are drawn over, and what they are, where there are lines.
    sizes: the names of the settings that make it smaller or larger.
    note: what the systems were and what was done to them, for the reader of the report.
    """

    name: str
    title: str
    note: str
    systems: Mapping[str, Callable[[], Reading]]
    shown: tuple[str, ...]
    axes: tuple[str, str] = ("seconds", "")
    sizes: tuple[str, ...] = ()
    goals: tuple[Goal, ...] = ()
    rounds: int = 5


#: The sizes that the environment gives, for the command in the report.
GIVEN: Final[dict[str, str]] = {}


def setting(name: str, default: float) -> float:
    """A size of a figure, such as BURST: from the environment, so that a quick look can be small."""
    given = os.environ.get(name)
    if given:
        GIVEN[name] = given
    return float(given or default)
