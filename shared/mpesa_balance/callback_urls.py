"""The callback address of each submission attempt: a signed token, made and checked here. Pure.

The token is 32 hex digits of the attempt's id and 32 of its HMAC-SHA256. Lowercase hex cannot
contain any of the words that Daraja refuses in a callback URL (its FAQ: mpesa, safaricom, exe,
exec, cmd, sql, query).
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from mpesa_balance.errors import CallbackRejected

#: Both kinds of callback; also the last word of the path.
RESULT: Final = "result"
TIMEOUT: Final = "timeout"

#: Where the webhook tier listens, below the base URL.
PATH: Final = "/callbacks/balance"

FORBIDDEN_WORDS: Final = ("mpesa", "safaricom", "exec", "exe", "cmd", "sql", "query")

_TOKEN = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CallbackSigner:
    """Signs and checks tokens. The first key signs; every key checks, so keys can be rotated."""

    keys: Sequence[bytes] = field(repr=False)

    def token(self, attempt_id: UUID) -> str:
        """The token for one submission attempt: 64 hex digits."""
        return attempt_id.hex + _mac(self.keys[0], attempt_id)

    def urls(self, base_url: str, attempt_id: UUID) -> dict[str, str]:
        """The callback addresses of one attempt, by kind."""
        place = f"{base_url.rstrip('/')}{PATH}/{self.token(attempt_id)}"
        return {kind: f"{place}/{kind}" for kind in (RESULT, TIMEOUT)}

    def attempt_id(self, token: str) -> UUID:
        """The attempt that a token was made for. Raises CallbackRejected (404) for any other text."""
        if _TOKEN.fullmatch(token):
            attempt_id = UUID(token[:32])
            given = token[32:].encode()
            # Every key is tried, so that the time taken does not tell which one fits.
            fits = [hmac.compare_digest(_mac(key, attempt_id).encode(), given) for key in self.keys]
            if any(fits):
                return attempt_id
        raise CallbackRejected("this callback address was not made by this system", status=404)


def payload_digest(token: str, payload: bytes) -> bytes:
    """What makes two deliveries the same: 32 bytes, keyed by the token.

    A plain hash of a body would let a stolen table be searched for the amounts that hash to it;
    the token's secret half is in no table.
    """
    return hmac.digest(token.encode(), payload, hashlib.sha256)


def base_url_violations(base_url: str, *, production: bool) -> list[str]:
    """What Daraja would refuse about callback addresses below `base_url`, a sentence each."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ["the callback base URL must start with https:// and name a host: see CALLBACK_BASE_URL"]
    found = [word for word in FORBIDDEN_WORDS if word in base_url.lower()]
    wrong = [f"the callback base URL contains {word!r}, which Daraja refuses" for word in found]
    if parts.query or parts.fragment or parts.username:
        wrong.append("the callback base URL must be scheme, host and path only")
    if production and parts.scheme != "https":
        wrong.append("production callbacks must use https://")
    if production and "ngrok" in parts.hostname:
        wrong.append("Daraja refuses ngrok addresses in production")
    return wrong


def _mac(key: bytes, attempt_id: UUID) -> str:
    return hmac.digest(key, b"callback:" + attempt_id.bytes, hashlib.sha256)[:16].hex()
