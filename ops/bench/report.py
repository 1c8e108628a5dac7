"""The report: what was measured, as Markdown tables."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from ops.bench.candidates import BEFORE, Candidate
from ops.bench.conduct import DRIPPING, IN_FLIGHT, PATIENCE, STOP_PATIENCE, Conduct, Stop
from ops.bench.load import Latencies
from ops.bench.machines import machine
from ops.bench.tables import table


@dataclass(slots=True)
class Figures:
    """What was measured of one candidate; lists have a value for each round."""

    alone: list[Latencies] = field(default_factory=list)
    among_slow: list[Latencies] = field(default_factory=list)
    among_idle: list[Latencies] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)


def document(figures: dict[Candidate, Figures], conduct: dict[Candidate, Conduct], setting: str) -> str:
    """The whole report."""
    parts = ["# Which server for the webhook tier", *_machine(figures, setting)]
    parts += ["## Good traffic", _LATENCY_NOTE, _latencies(figures)]
    parts += ["## Throughput", _RATE_NOTE, _rates(figures)]
    parts += ["## Answers and patience", _CONDUCT_NOTE, _answers(conduct)]
    parts += ["## Graceful stop", _STOP_NOTE, _stops(conduct)]
    parts += ["## Command lines", _commands(figures)]
    return "\n\n".join(parts) + "\n"


_LATENCY_NOTE = (
    "Milliseconds, over all rounds: median / 99th percentile / longest; in brackets the medians of the "
    "rounds. 'Slow' counts requests over 50 ms and over 1 s; failed ones count in both. Alone, then while "
    "100 clients drip headers and 100 drip bodies, then with 2,000 connections that say nothing."
)
_RATE_NOTE = (
    "Answers per second on 32 connections: the median, and the range over the rounds. The ratio is the "
    "median over rounds of the rate divided by the first row's in the same round. 'Lost' counts "
    "connections that the server closed. CPU is what all processes of "
    "the server use for 1,000 requests; MiB is their memory after that."
)
_CONDUCT_NOTE = (
    "200 KB with an announced length and in chunks (limit: 64 KiB; 0: closed without an answer). 'Cut "
    "short': what the view was handed as whole of a body that ended early (announced; chunked). Then the "
    f"seconds until the server cut the connection of each kind of client (never: not in {PATIENCE:.0f} s), "
    f"and whether one good request is answered within 5 s while {DRIPPING} clients drip bodies."
)
_STOP_NOTE = (
    f"SIGTERM while {IN_FLIGHT} requests are with a view that takes 0.3 s: how many got their answer, and "
    "the seconds until the last process of the server was gone."
)


def _machine(figures: Iterable[Candidate], setting: str) -> list[str]:
    names = {name for one in figures for name in one.distributions} | {"flask", "werkzeug"}
    return machine("slow_clients", setting, names)


def _latencies(figures: dict[Candidate, Figures]) -> str:
    heads = ["Server", "alone", "with slow", "failed", "> 50 ms", "> 1 s", "with idle", "failed"]
    return table(heads, (_latency_row(one, found) for one, found in figures.items()))


def _latency_row(candidate: Candidate, found: Figures) -> list[str]:
    among_slow = sum(found.among_slow, Latencies())
    total = len(among_slow.seconds) + among_slow.failed
    among_idle = sum(found.among_idle, Latencies())
    return [
        candidate.name,
        spread(found.alone),
        spread(found.among_slow),
        f"{among_slow.failed} of {total}",
        str(among_slow.over(0.05)),
        str(among_slow.over(1)),
        spread(found.among_idle),
        f"{among_idle.failed} of {len(among_idle.seconds) + among_idle.failed}",
    ]


def spread(rounds: list[Latencies]) -> str:
    """Median, 99th percentile and longest over all rounds, and the rounds' medians, in milliseconds."""
    pooled = sum(rounds, Latencies())
    if not pooled.seconds:
        return "no answer"
    figures = " / ".join(f"{pooled.quantile(share) * 1000:.1f}" for share in (0.5, 0.99, 1))
    return f"{figures} ({', '.join(f'{one.quantile(0.5) * 1000:.1f}' for one in rounds)})"


def _rates(figures: dict[Candidate, Figures]) -> str:
    before = next((found.rates for one, found in figures.items() if one.name == BEFORE), [])
    heads = ["Server", "requests/s", "range", "ratio", "lost", "CPU s / 1,000", "MiB"]
    return table(heads, (_rate_row(one, found, before) for one, found in figures.items()))


def _rate_row(candidate: Candidate, found: Figures, before: list[float]) -> list[str]:
    ratios = [mine / its for mine, its in zip(found.rates, before, strict=False)]
    return [
        candidate.name,
        f"{statistics.median(found.rates):.0f}",
        f"{min(found.rates):.0f} to {max(found.rates):.0f}",
        f"{statistics.median(ratios):.2f}" if ratios else "",
        str(sum(found.lost)),
        f"{statistics.median(found.cpu):.2f} ({min(found.cpu):.2f} to {max(found.cpu):.2f})",
        f"{max(found.megabytes):.0f}",
    ]


def _answers(conduct: dict[Candidate, Conduct]) -> str:
    heads = ["Server", "announced", "chunked", "keep-alive", "cut short"]
    heads += ["headers", "body", "chunks", "silence", "idle", f"{DRIPPING} drip"]
    return table(heads, (_answer_row(one, seen) for one, seen in conduct.items()))


def _answer_row(candidate: Candidate, seen: Conduct) -> list[str]:
    return [
        candidate.name,
        str(seen.announced),
        str(seen.chunked),
        "yes" if seen.kept_alive else "NO",
        "refused" if not seen.cut_short else f"TAKEN ({', '.join(map(str, seen.cut_short))} bytes)",
        *("never" if value is None else f"{value:.0f}" for value in seen.borne.values()),
        "answered" if seen.among_dripping == 200 else "NO ANSWER",
    ]


def _stops(conduct: dict[Candidate, Conduct]) -> str:
    heads = ["Server", "answered", "seconds", "answered, with slow", "seconds, with slow"]
    rows = ([one.name, *_stop(seen.stop), *_stop(seen.stop_with_crowd)] for one, seen in conduct.items())
    return table(heads, rows)


def _stop(stop: Stop | None) -> list[str]:
    if stop is None:
        return ["", ""]
    seconds = f"over {STOP_PATIENCE:.0f}" if stop.seconds is None else f"{stop.seconds:.1f}"
    return [f"{stop.answered} of {IN_FLIGHT}", seconds]


def _commands(figures: Iterable[Candidate]) -> str:
    lines = (f"- {one.name}: `python {' '.join(one.command(8000)[1:])}`" for one in figures)
    return "\n".join(lines)
