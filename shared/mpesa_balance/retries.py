"""When something is tried again, by its class alone: backoff with jitter and a cap. Pure."""

import random
from dataclasses import dataclass
from typing import Final

from mpesa_balance.result_codes import Action

#: Waits differ by this much, so that what failed together does not come back together.
_JITTER: Final = (0.75, 1.25)


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Waits in seconds: before each further try, and after a used-up quota."""

    backoff: tuple[int, ...]
    quota_backoff: int

    def wait(self, action: Action, tries: int) -> float | None:
        """How long to wait after `tries` earlier retries; None where it is not to be tried again.

        The longest wait of the schedule is the cap, jitter included; a quota is waited out in full.
        """
        if tries >= len(self.backoff):
            return None
        jitter = random.uniform(*_JITTER)  # noqa: S311 - it only spreads, and guards no secret
        if action is Action.RETRY_LATER:
            return self.quota_backoff * max(jitter, 1.0)
        if action is Action.RETRY:
            return min(self.backoff[tries] * jitter, max(self.backoff))
        return None


#: Nothing is tried again.
NO_RETRIES: Final = RetrySchedule((), 0)
