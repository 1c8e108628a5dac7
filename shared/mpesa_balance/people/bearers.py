"""Random texts that let their bearer in: how links, sessions and API tokens are made and kept."""

import hashlib
import secrets
from typing import Final

#: As many random bytes as nobody guesses.
_BYTES: Final = 32


def new_bearer() -> str:
    """A text that nobody guesses, safe in an address and in a header."""
    return secrets.token_urlsafe(_BYTES)


def digest(bearer: str) -> bytes:
    """What is kept of it. Without salt: of 256 random bits nobody makes a table."""
    return hashlib.sha256(bearer.encode()).digest()
