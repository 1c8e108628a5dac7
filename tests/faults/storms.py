"""What every fault is put through: callers and callbacks at once, then rest, and the books must balance."""

from collections.abc import Callable, Sequence

from tests.faults.conftest import Arena
from tests.faults.ledger import Books
from tests.faults.report import Teller
from tests.faults.traffic import asking, asking_again
from tests.waiting import eventually

#: Callbacks, and requests, in a second.
CALLBACKS = 20
REQUESTS = 3

#: How long the callbacks come at least, in seconds.
SECONDS = 15

#: A stretch of the storm, as long as its callbacks of so many seconds take, or something that is done.
Step = float | Callable[[], object]


def under_storm(
    arena: Arena,
    told: Teller,
    fault: str,
    what: str,
    steps: Sequence[Step],
    patience: float = 90,
    seconds: float = SECONDS,
) -> None:
    """Take the steps while callbacks come, for `seconds` at least and for longer than all stretches.

    Nothing may be refused, or be lost or left open after `patience`.
    """
    refused = arena.ledger.books.refused
    storm = arena.storm
    stretches = sum(step for step in steps if not callable(step))
    attempts = storm.prepare(round(CALLBACKS * max(seconds, stretches + 1)))
    with asking_again(arena.callers):
        with asking(arena.callers, REQUESTS), arena.posting(storm, attempts, CALLBACKS) as latencies:
            take(steps, arena.ledger.books, len(attempts))
        found, recovered = arena.settle(patience)
    slowest = sorted(latencies)[int(len(latencies) * 0.99)]
    told.tell(fault, what, found, recovered, f"{slowest * 1000:.0f} ms")
    assert len(latencies) == len(attempts)
    assert arena.ledger.books.refused == refused


def take(steps: Sequence[Step], books: Books, length: int) -> None:
    """Take the steps during a storm of `length` callbacks, which begins now."""
    ends = books.answered + length
    for step in steps:
        if callable(step):
            step()
        else:
            _pass(step, books, ends)


def _pass(stretch: float, books: Books, ends: int) -> None:
    """Wait for the callbacks of so many seconds. A storm that is over has none to wait for."""
    reached = min(books.answered + round(stretch * CALLBACKS), ends)
    # Each of them has its answer, or is given up, within the ten seconds of its sender.
    eventually(lambda: books.answered >= reached, seconds=2 * stretch + 60)
