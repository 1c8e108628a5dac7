"""What follows from endings once they are committed: traces are told of, and callers' own tasks."""

from worker import replying, tracing
from worker.house import House


def follow(house: House) -> None:
    """Tell of whatever has ended in this process, and of all replies that are due."""
    tracing.tell(house.database)
    replying.send_due(house)
