"""The webhook tier while its broker is away: `python -m ops.bench.hung_broker` writes its report."""

import argparse
import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ops.bench import command, disk, faults, slow
from ops.bench.broker_report import Stage, Throughput, document
from ops.bench.callbacks import (
    LIVE,
    Callbacks,
    StandIn,
    emptied,
    settings,
    spooled,
    tier,
)
from ops.bench.faults import Broker, Fault
from ops.bench.load import closed_loops, steady
from ops.bench.serving import Server, serving
from ops.stack.programs import CHECKOUT

REPORT: Final = Path(__file__).parent / "results" / "hung-broker.md"

CLOSED_LOOPS: Final = 32
CLOSED_SECONDS: Final = 5.0
PROCESSES: Final = (1, 2)

#: How long the spool may take to empty once the broker is well, in seconds.
_RECOVERY: Final = 60.0


@dataclass(frozen=True, slots=True)
class State:
    """What is wrong while good callbacks come."""

    name: str
    fault: Fault
    crowd: tuple[Callable[[], slow.Script], ...] = ()


WELL: Final = State("well", faults.well)

STATES: Final = (
    State("refused", faults.refused),
    State("hung", faults.hung),
    State("half-open", faults.half_open),
    State("well, 200 slow clients", faults.well, slow.CROWD),
    State("hung, 200 slow clients", faults.hung, slow.CROWD),
)


def main() -> None:
    """Measure each state in turn with the well one, then throughput and the disk; write the report."""
    options = _options()
    options.disk.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="bench-", dir=options.disk.resolve()) as folder:
        text = asyncio.run(_measure(Path(folder), options))
    command.publish(text, options.report)


def _options() -> argparse.Namespace:
    parser = command.parser(__doc__, "states", REPORT)
    parser.add_argument("--seconds", type=float, default=10.0, help="of good callbacks in each state")
    parser.add_argument("--closed", type=float, default=CLOSED_SECONDS, help="seconds of closed loops")
    parser.add_argument("--disk", type=Path, default=CHECKOUT / ".state", help="where the spools are")
    return parser.parse_args()


async def _measure(folder: Path, options: argparse.Namespace) -> str:
    commits = disk.commits(folder)
    async with faults.broker(folder / "valkey") as broker, _stand_in(broker) as worker:
        stages = await _states(folder / "spool", broker, worker, options)
        rates = await _throughputs(folder, broker, options)
    setting = (
        f"{options.rounds} rounds over all states, each after the well one, {options.seconds:g} s of "
        f"callbacks in each. The spool is on {disk.file_system(folder)}."
    )
    return document(stages, rates, commits, setting)


@asynccontextmanager
async def _stand_in(broker: Broker) -> AsyncIterator[StandIn]:
    worker = StandIn(broker.direct_url)
    working = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _states(
    spool: Path, broker: Broker, worker: StandIn, options: argparse.Namespace
) -> dict[str, list[Stage]]:
    chosen = [state for state in STATES if options.only in state.name]
    order = [one for _ in range(options.rounds) for state in chosen for one in (WELL, state)]
    found: dict[str, list[Stage]] = {state.name: [] for state in (WELL, *chosen)}
    async with serving(tier(), settings(spool, broker.url), LIVE) as server:
        await steady(server.port, 2, Callbacks().requests())
        for state in order:
            print(f"{state.name} ...", file=sys.stderr, flush=True)
            found[state.name].append(await _stage(state, server, spool, broker, worker, options.seconds))
    return found


async def _stage(
    state: State, server: Server, spool: Path, broker: Broker, worker: StandIn, seconds: float
) -> Stage:
    callbacks = Callbacks()
    crowd = slow.crowd(server.port, state.crowd, again=True) if state.crowd else nullcontext()
    before = server.cpu_seconds()
    async with crowd, state.fault(broker):
        latencies = await steady(server.port, seconds, callbacks.requests())
        cpu = server.cpu_seconds() - before
        in_spool = spooled(spool) & callbacks.attempts
        # The broker comes back at any moment of the rhythm in which it is asked.
        await asyncio.sleep(secrets.randbelow(1000) / 1000)
    recovery = await emptied(spool, _RECOVERY)
    kept = (worker.recorded | spooled(spool)) & callbacks.attempts
    return Stage(latencies, len(in_spool), len(kept), recovery, cpu)


async def _throughputs(
    folder: Path, broker: Broker, options: argparse.Namespace
) -> dict[int, list[Throughput]]:
    found: dict[int, list[Throughput]] = {processes: [] for processes in PROCESSES}
    for number in range(options.rounds):
        for processes in PROCESSES if options.closed else ():
            print(f"{processes} processes ...", file=sys.stderr, flush=True)
            spool = folder / f"spool-{number}-{processes}"
            found[processes].append(await _throughput(spool, broker, processes, options))
    return found


async def _throughput(
    spool: Path, broker: Broker, processes: int, options: argparse.Namespace
) -> Throughput:
    environment = settings(spool, broker.direct_url)
    callbacks = Callbacks()
    async with serving(tier(processes), environment, LIVE) as server:
        await closed_loops(server.port, CLOSED_LOOPS, 0.5, callbacks.requests())
        before = server.cpu_seconds()
        tally = await closed_loops(server.port, CLOSED_LOOPS, options.closed, callbacks.requests())
        cpu = (server.cpu_seconds() - before) * 1000 / max(tally.answered, 1)
        behind = len(spooled(spool))
        await emptied(spool, _RECOVERY)
    return Throughput(tally.answered / options.closed, cpu, behind)


if __name__ == "__main__":
    main()
