"""What the rounds of a figure gave, kept as JSON beside the report, and what follows from it."""

import json
import math
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

from ops.bench.figures.figure import OURS, Goal, Line, Reading

RESULTS: Final = Path(__file__).parent / "results"

#: So many digits of a number are kept.
_DIGITS: Final = 5


@dataclass(slots=True)
class Readings:
    """All rounds of one figure, by system.

    made: the paragraphs that say by what, when and where this was measured.
    """

    figure: str
    made: list[str] = field(default_factory=list)
    systems: dict[str, list[Reading]] = field(default_factory=dict)

    def add(self, system: str, reading: Reading) -> None:
        """Keep one round."""
        numbers = {name: _rounded(value) for name, value in reading.numbers.items()}
        lines = {
            name: [(_rounded(x), _rounded(y)) for x, y in points] for name, points in reading.lines.items()
        }
        self.systems.setdefault(system, []).append(Reading(numbers, lines))

    def values(self, system: str, number: str) -> list[float]:
        """One number of a system, round by round; nothing where it has none."""
        found = [reading.numbers.get(number) for reading in self.systems.get(system, [])]
        return [value for value in found if value is not None]

    def held(self, goal: Goal) -> list[float]:
        """What a goal is held against, round by round: ratios are of one round each."""
        ours = self.values(OURS, goal.number)
        if goal.against is None:
            return ours
        theirs = self.values(goal.against, goal.number)
        return [mine / its if its else math.nan for mine, its in zip(ours, theirs, strict=False)]

    def write(self, directory: Path = RESULTS) -> None:
        """Keep them all."""
        directory.mkdir(exist_ok=True)
        text = json.dumps(asdict(self), indent=1)
        (directory / f"{self.figure}.json").write_text(text + "\n")

    @classmethod
    def read(cls, figure: str, directory: Path = RESULTS) -> Self | None:
        """What was kept of a figure, or None."""
        path = directory / f"{figure}.json"
        if not path.exists():
            return None
        kept = json.loads(path.read_text())
        systems = {
            system: [Reading(one["numbers"], _points(one["lines"])) for one in rounds]
            for system, rounds in kept["systems"].items()
        }
        return cls(kept["figure"], kept["made"], systems)


def is_met(goal: Goal, values: list[float]) -> bool | None:
    """Whether the median of the rounds reaches a goal; None where nothing is demanded or known."""
    if not values or (goal.at_least is None and goal.at_most is None):
        return None
    median = statistics.median(values)
    low = -math.inf if goal.at_least is None else goal.at_least
    high = math.inf if goal.at_most is None else goal.at_most
    return low <= median <= high


def _points(lines: dict[str, list[list[float]]]) -> dict[str, Line]:
    # JSON has no pairs.
    return {name: [(x, y) for x, y in points] for name, points in lines.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
