"""The door: whether a callback is ours, what of it may come in, and when it came."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flask import Request

from mpesa_balance.callback_urls import payload_digest
from mpesa_balance.deliveries import Delivery, delivery_place
from mpesa_balance.errors import CallbackRejected
from mpesa_balance.settings import CallbackSettings

#: Real callbacks are 1 to 2 KiB; a body may be this long, however it is transferred.
LONGEST_BODY: Final = 64 * 1024

# A queue timeout can echo our own request. Its credential must not get into any store.
_CREDENTIAL = re.compile(rb'("SecurityCredential"\s*:\s*")(?:[^"\\]|\\.)*"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A callback that may come in: to pass on (sealed), and to look at (in the clear)."""

    delivery: Delivery
    payload: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """Checks tokens and seals what comes with a good one."""

    settings: CallbackSettings

    def admit(self, token: str, kind: str, request: Request) -> Admitted:
        """The callback in `request`. Raises CallbackRejected: 404 for its token, 413 for its size."""
        received_at = datetime.now(UTC)
        attempt_id = self.settings.signer.attempt_id(token)
        payload = _CREDENTIAL.sub(rb'\1[removed]"', _bounded_body(request))
        digest = payload_digest(token, payload)
        delivery = Delivery(
            attempt_id=attempt_id,
            kind=kind,
            digest=digest,
            payload=self.settings.sealer.seal(payload, delivery_place(attempt_id, kind, digest)),
            address=request.remote_addr,
            received_at=received_at,
        )
        return Admitted(delivery, payload)


def _bounded_body(request: Request) -> bytes:
    # One byte more than allowed is read, so that a body that is too long is refused, not cut short.
    body: bytes = request.stream.read(LONGEST_BODY + 1)
    if len(body) < (request.content_length or 0) <= LONGEST_BODY:
        raise CallbackRejected("the body ended before the length that was announced", status=400)
    if len(body) > LONGEST_BODY:
        raise CallbackRejected(f"a callback may be {LONGEST_BODY} bytes long", status=413)
    return body
