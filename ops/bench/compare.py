"""The comparison with the ways people do it today: `python -m ops.bench.compare` writes its report."""

import argparse
import signal
import sys
from typing import Final

from ops.bench.comparison import DISTRIBUTIONS, document
from ops.bench.disk import file_system
from ops.bench.figures.figure import GIVEN, Figure
from ops.bench.figures.registry import FIGURES
from ops.bench.machines import machine
from ops.bench.plots import plot
from ops.bench.readings import RESULTS, Readings
from ops.bench.rounds import DISK

REPORT: Final = RESULTS / "comparison.md"

#: The exit status of a program that SIGTERM ended.
_TERMINATED: Final = 143


def main() -> None:
    """Measure the figures that are asked for, one after the other, and write the report of all of them."""
    options = _options()
    # What a round has started ends with it, also when somebody loses patience.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    names = {name for name in options.only.split(",") if name}
    if unknown := names - {figure.name for figure in FIGURES}:
        sys.exit(f"no figure is named {', '.join(unknown)}: use {', '.join(one.name for one in FIGURES)}")
    for figure in FIGURES:
        if not names or figure.name in names:
            measure(figure, options.rounds or figure.rounds, options.systems)
            report()


def measure(figure: Figure, rounds: int, systems: str = "") -> None:
    """Run the rounds of a figure, its systems in turn; what was kept of it before is replaced."""
    chosen = [name for name in figure.systems if not systems or name in systems.split(",")]
    readings = Readings(figure.name)
    for number in range(rounds):
        for system in chosen:
            print(
                f"{figure.name}, round {number + 1} of {rounds}: {system} ...", file=sys.stderr, flush=True
            )
            readings.add(system, figure.systems[system]())
    readings.made = _made(figure, rounds)
    readings.write()
    plot(figure, readings)


def report() -> None:
    """Write the report of all that was ever measured."""
    kept = ((figure, Readings.read(figure.name)) for figure in FIGURES)
    REPORT.write_text(document((figure, readings) for figure, readings in kept if readings))
    print(REPORT)


def _made(figure: Figure, rounds: int) -> list[str]:
    sizes = "".join(f" {name}={GIVEN[name]}" for name in figure.sizes if name in GIVEN)
    setting = f"`make bench ONLY={figure.name} ROUNDS={rounds}{sizes}`; data on {file_system(DISK)}."
    # With its sizes as they were then: the report is written anew when another figure is measured.
    return [figure.note, *machine(f"compare --only {figure.name}", setting, DISTRIBUTIONS)]


def _options() -> argparse.Namespace:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--only", default="", help="names of figures, with commas; all where it is empty")
    made.add_argument("--systems", default="", help="names of systems, with commas, for a quick look")
    made.add_argument("--rounds", type=int, default=0, help="0: as many as each figure says")
    return made.parse_args()


if __name__ == "__main__":
    main()
