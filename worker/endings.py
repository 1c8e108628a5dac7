"""What follows from endings once they are committed: traces are told of, and callers' own tasks."""

from worker import replying, tracing
from worker.house import House


def follow(house: House) -> None:
    """Tell of whatever has ended in this process, and whoever wants to know of it."""
    tracing.tell(house.database)
    if house.replies_due.is_set():
        house.replies_due.clear()
        replying.send_due(house)
