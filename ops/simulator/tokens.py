"""Access tokens: each good for a while, several at once, until all are revoked."""

import secrets
import threading
import time


class Tokens:
    """The tokens of one Daraja app, each good for `seconds`."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self._expiries: dict[str, float] = {}
        self._lock = threading.Lock()

    def mint(self) -> str:
        """A new token. Those that were minted before stay good."""
        token = secrets.token_urlsafe(21)
        now = time.monotonic()
        with self._lock:
            self._expiries = {one: ends for one, ends in self._expiries.items() if ends > now}
            self._expiries[token] = now + self.seconds
        return token

    def is_good(self, token: str) -> bool:
        """Whether a token was minted here and lives."""
        with self._lock:
            return self._expiries.get(token, 0) > time.monotonic()

    def revoke(self) -> int:
        """End every token now, and say how many there were."""
        with self._lock:
            count = len(self._expiries)
            self._expiries.clear()
        return count
