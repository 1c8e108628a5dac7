"""Strangers at the door: senders with addresses that we never made, and how many tries each has."""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from mpesa_balance.errors import CallbackRejected


class Strangers:
    """Counts what each address guesses, in this process. Who has a good token is never counted."""

    def __init__(self, per_minute: int) -> None:
        self._allowed = RateLimitItemPerMinute(per_minute)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def tried(self, address: str | None) -> None:
        """Count one guess. Raises CallbackRejected (429) for an address that has guessed too often."""
        if not self._limiter.hit(self._allowed, address or "nowhere"):
            raise CallbackRejected(
                f"more than {self._allowed.amount} unknown callback addresses in a minute: wait", status=429
            )
