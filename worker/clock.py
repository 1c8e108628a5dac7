"""Periodic jobs: whoever sends their ticks, beat or a worker, each tick is run once."""

from collections.abc import Callable

from mpesa_balance import ticks
from worker.house import House


def tick(house: House, job: str, run: Callable[[House], None]) -> None:
    """Run the job, unless its tick was taken by somebody else."""
    with house.database.transaction() as connection:
        is_ours = ticks.take(connection, job, house.settings.intervals[job])
    if is_ours:
        run(house)
