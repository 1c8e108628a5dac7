"""What every fault is put through: callers and callbacks at once, then rest, and the books must balance."""

import time
from collections.abc import Callable, Sequence

from tests.faults.conftest import Arena
from tests.faults.report import Teller
from tests.faults.traffic import asking, asking_again

#: Callbacks, and requests, in a second.
CALLBACKS = 20
REQUESTS = 3

#: How long the callbacks come, in seconds.
SECONDS = 15

#: A pause in seconds, or something that is done.
Step = float | Callable[[], object]


def under_storm(
    arena: Arena, told: Teller, fault: str, what: str, steps: Sequence[Step], patience: float = 90
) -> None:
    """Take the steps while callbacks come; nothing may be refused, lost or left open after `patience`."""
    refused = arena.ledger.books.refused
    storm = arena.storm
    attempts = storm.prepare(int(CALLBACKS * SECONDS))
    with asking_again(arena.callers):
        with asking(arena.callers, REQUESTS), arena.posting(storm, attempts, CALLBACKS) as latencies:
            for step in steps:
                time.sleep(step) if isinstance(step, int | float) else step()
        found, recovered = arena.settle(patience)
    slowest = sorted(latencies)[int(len(latencies) * 0.99)]
    told.tell(fault, what, found, recovered, f"{slowest * 1000:.0f} ms")
    assert len(latencies) == len(attempts)
    assert arena.ledger.books.refused == refused
