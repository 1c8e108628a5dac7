"""Loads: what is planned for the driver, and what came of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A load. Closed loops ask again when they are answered; an open one asks at its rate.

    recipe: the name of what is asked, see recipes.py.
    seconds: how long closed loops last; 0 until `count` requests are answered.
    warm_up: for how long they run before that, in seconds, and until each connection had an answer.
    rate: requests per second of an open loop; 0 for closed ones.
    wraps: whether to begin anew where the requests are used up.
    stamps: whether the outcome says when each request was sent, and how long each answer took.
    """

    port: int
    recipe: str
    seed: int
    count: int
    connections: int = 64
    seconds: float = 0.0
    warm_up: float = 0.0
    rate: float = 0.0
    wraps: bool = False
    stamps: bool = False
    callback_keys: str = field(default="", repr=False)


@dataclass(slots=True)
class Outcome:
    """What came of a load. Times are in seconds; `sent_at` by the clock of the wall."""

    answered: int = 0
    refused: int = 0
    lost: int = 0
    #: All that was answered with 200, the warm-up included.
    taken: int = 0
    elapsed: float = 0.0
    cpu: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    longest: float = 0.0
    sent_at: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
