"""How long M-PESA takes: delays drawn so that the same seed tells the same story."""

import math
import random
import threading


def draw(chance: random.Random, median: float, spread: float) -> float:
    """Seconds, log-normally distributed: half of all are below `median`, and none is below 0.

    `spread` is the sigma of the logarithm: with 0.3, two in three are within a third of the median.
    A median of 0 stays 0.
    """
    return chance.lognormvariate(math.log(median), spread) if median else 0.0


class Delays:
    """A series of delays for each shortcode, whatever happens to the others."""

    def __init__(self, seed: int, median: float, spread: float) -> None:
        self._seed = seed
        self._median = median
        self._spread = spread
        self._chances: dict[str, random.Random] = {}
        self._lock = threading.Lock()

    def next(self, shortcode: str) -> float:
        """How many seconds the next callback of this shortcode takes."""
        with self._lock:
            chance = self._chances.get(shortcode)
            if chance is None:
                # The bank has a series of its own, so that amounts and delays have nothing in common.
                chance = random.Random(f"{self._seed}/{shortcode}/delays")  # noqa: S311 - a story
                self._chances[shortcode] = chance
            return draw(chance, self._median, self._spread)
