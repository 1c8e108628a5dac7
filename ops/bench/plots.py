"""The plots: small SVG files that are the same for the same readings."""

import statistics
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from ops.bench.figures.figure import OURS, Figure
from ops.bench.readings import RESULTS, Readings

_OURS, _OTHERS, _ROUND = "#1b7837", "#9aa0a6", "#202124"

_STYLE: Final = {
    # Text stays text, and the ids do not change from run to run: a plot differs where its readings do.
    "svg.fonttype": "none",
    "svg.hashsalt": "bench",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def plot(figure: Figure, readings: Readings, directory: Path = RESULTS) -> None:
    """Write <figure>.svg: the first number of each system, or the lines of ours where there are some."""
    # By name, because only the extra "bench" installs it; without a display.
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("svg")
    pyplot: Any = import_module("matplotlib.pyplot")
    with matplotlib.rc_context(_STYLE):
        ours = readings.systems.get(OURS, [])
        drawing, axes = pyplot.subplots(figsize=(7, 3.2 if ours and ours[-1].lines else 2.2))
        if ours and ours[-1].lines:
            _lines(axes, readings)
            axes.set_xlabel(figure.axes[0])
            axes.set_ylabel(figure.axes[1])
        else:
            _bars(axes, readings, figure.shown[0])
        axes.set_title(figure.title, loc="left")
        drawing.tight_layout()
        drawing.savefig(directory / f"{figure.name}.svg", metadata={"Date": None})
        pyplot.close(drawing)


def _bars(axes: Any, readings: Readings, number: str) -> None:
    """A bar for the median of each system, and a point for each round."""
    systems = [one for one in reversed(readings.systems) if readings.values(one, number)]
    for place, system in enumerate(systems):
        values = readings.values(system, number)
        colour = _OURS if system == OURS else _OTHERS
        axes.barh(place, statistics.median(values), height=0.6, color=colour)
        axes.plot(values, [place] * len(values), "|", color=_ROUND, markersize=7)
    axes.set_yticks(range(len(systems)), systems)
    axes.set_xlabel(f"{number}: median, and each round")


def _lines(axes: Any, readings: Readings) -> None:
    """The lines of our last round."""
    for name, points in readings.systems[OURS][-1].lines.items():
        axes.plot([x for x, _ in points], [y for _, y in points], linewidth=1, label=name)
    axes.legend(fontsize=7, frameon=False, ncols=2)
