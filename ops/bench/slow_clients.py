"""The measurement of servers under slow clients: `python -m ops.bench.slow_clients` writes its report."""

import argparse
import asyncio
from pathlib import Path
from typing import Final

from ops.bench import command, slow
from ops.bench.candidates import BEFORE, CANDIDATES, Candidate
from ops.bench.conduct import observe
from ops.bench.load import closed_loops, steady
from ops.bench.report import Figures, document
from ops.bench.serving import serving

REPORT: Final = Path(__file__).parent / "results" / "slow-clients.md"

#: How many connections ask again and again, and how many say nothing.
CLOSED_LOOPS: Final = 32
IDLE: Final = 2000


def main() -> None:
    """Measure all candidates in turn, as often as asked, and write the report."""
    options = _options()
    chosen = [one for one in CANDIDATES if one.name == BEFORE or options.only in one.name]
    text = asyncio.run(_measure(chosen, options.rounds, options.seconds))
    command.publish(text, options.report)


def _options() -> argparse.Namespace:
    parser = command.parser(__doc__, "candidates", REPORT)
    parser.add_argument("--seconds", type=float, default=4.0, help="of good traffic, in each round")
    return parser.parse_args()


async def _measure(chosen: list[Candidate], rounds: int, seconds: float) -> str:
    # What waits more than it computes is done at once; what is timed, one after the other.
    seen = await asyncio.gather(*(observe(candidate) for candidate in chosen))
    conduct = dict(zip(chosen, seen, strict=True))
    figures = {candidate: Figures() for candidate in chosen}
    for number in range(rounds):
        for candidate in chosen:
            print(f"round {number + 1} of {rounds}: {candidate.name}", flush=True)
            await _round(candidate, figures[candidate], seconds)
    setting = f"{rounds} rounds over all servers in turn, with {seconds:g} s of each traffic in a round."
    return document(figures, conduct, setting)


async def _round(candidate: Candidate, found: Figures, seconds: float) -> None:
    async with serving(candidate) as server:
        await closed_loops(server.port, CLOSED_LOOPS, 0.5)
        found.alone.append(await steady(server.port, seconds))
        before = server.cpu_seconds()
        tally = await closed_loops(server.port, CLOSED_LOOPS, seconds / 2)
        found.lost.append(tally.lost)
        found.rates.append(tally.answered / (seconds / 2))
        found.cpu.append((server.cpu_seconds() - before) * 1000 / max(tally.answered, 1))
        found.megabytes.append(server.megabytes())
        async with slow.crowd(server.port, slow.CROWD):
            found.among_slow.append(await steady(server.port, seconds))
    # A server of its own: what the slow clients left behind must not be measured again.
    async with serving(candidate) as server, slow.crowd(server.port, (slow.silence,) * IDLE):
        found.among_idle.append(await steady(server.port, seconds / 2))


if __name__ == "__main__":
    main()
