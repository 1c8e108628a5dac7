"""The door: whether a callback is ours, what of it may come in, and when it came."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from flask import Request

from mpesa_balance.addresses import AddressPolicy, is_known
from mpesa_balance.callback_urls import payload_digest
from mpesa_balance.deliveries import Delivery, delivery_place
from mpesa_balance.errors import CallbackRejected
from mpesa_balance.redaction import without_credentials
from mpesa_balance.settings import CallbackSettings
from webhooks import metrics
from webhooks.strangers import Strangers

#: Real callbacks are 1 to 2 KiB; a body may be this long, however it is transferred.
LONGEST_BODY: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Admitted:
    """A callback that may come in: to pass on (sealed), and to look at (in the clear)."""

    delivery: Delivery
    payload: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """Checks tokens and addresses, and seals what comes with good ones."""

    settings: CallbackSettings
    policy: AddressPolicy
    strangers: Strangers

    def admit(self, token: str, kind: str, request: Request) -> Admitted:
        """The callback in `request`.

        Raises CallbackRejected: 404 for its token (429 for too many of those), 403 for its sender, 413
        for its size.
        """
        received_at = datetime.now(UTC)
        attempt_id = self._attempt_id(token, request.remote_addr)
        flagged = self._is_flagged(request.remote_addr)
        payload = without_credentials(_bounded_body(request))
        digest = payload_digest(token, payload)
        delivery = Delivery(
            attempt_id=attempt_id,
            kind=kind,
            digest=digest,
            payload=self.settings.sealer.seal(payload, delivery_place(attempt_id, kind, digest)),
            address=request.remote_addr,
            received_at=received_at,
            flagged=flagged,
        )
        return Admitted(delivery, payload)

    def _attempt_id(self, token: str, address: str | None) -> UUID:
        try:
            return self.settings.signer.attempt_id(token)
        except CallbackRejected:
            metrics.token_unknown()
            self.strangers.tried(address)
            raise

    def _is_flagged(self, address: str | None) -> bool:
        if self.policy is AddressPolicy.OFF or is_known(address):
            return False
        if self.policy is AddressPolicy.ENFORCE:
            raise CallbackRejected(
                f"callbacks are not taken from {address} (see CALLBACK_ADDRESS_POLICY and "
                "TRUSTED_PROXY_HOPS)",
                status=403,
            )
        return True


def _bounded_body(request: Request) -> bytes:
    # One byte more than allowed is read, so that a body that is too long is refused, not cut short. One
    # that ended early does not come as far as here: see webhooks/bridge.py.
    body: bytes = request.stream.read(LONGEST_BODY + 1)
    if len(body) > LONGEST_BODY:
        raise CallbackRejected(f"a callback may be {LONGEST_BODY} bytes long", status=413)
    return body
