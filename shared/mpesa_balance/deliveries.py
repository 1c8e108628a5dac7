"""One delivery of a callback on its way from the webhook tier to the worker: the message's shape. Pure.

The bytes travel as a base64 string and sealed: parsed JSON of a stranger in task arguments is turned
into objects by kombu where it says {"__type__": ...}, and destroyed where it cannot be decoded.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What arrived at a callback address.

    attempt_id: the submission attempt that the address was signed for.
    kind: "result" or "timeout", from the path.
    digest: keyed by the address's token; equal for equal bytes.
    payload: the bytes, sealed for `place`.
    address: who sent it, as far as can be told.
    received_at: stamped at the door, aware UTC.
    flagged: whether the sender is none of Safaricom's known addresses.
    """

    attempt_id: UUID
    kind: str
    digest: bytes
    payload: bytes = field(repr=False)
    address: str | None
    received_at: datetime
    flagged: bool = False

    @property
    def place(self) -> str:
        """What the payload is sealed for: the same in the message and in the table."""
        return delivery_place(self.attempt_id, self.kind, self.digest)

    def message(self) -> dict[str, str | bool | None]:
        """The delivery as JSON scalars."""
        return {
            "attempt_id": str(self.attempt_id),
            "kind": self.kind,
            "digest": self.digest.hex(),
            "payload": base64.b64encode(self.payload).decode(),
            "address": self.address,
            "received_at": self.received_at.isoformat(),
            "flagged": self.flagged,
        }

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> Self:
        """The delivery that `message` was made of."""
        return cls(
            attempt_id=UUID(message["attempt_id"]),
            kind=message["kind"],
            digest=bytes.fromhex(message["digest"]),
            payload=base64.b64decode(message["payload"]),
            address=message["address"],
            received_at=datetime.fromisoformat(message["received_at"]),
            # A webhook tier that is not up to date yet says nothing of it.
            flagged=message.get("flagged", False),
        )


def delivery_place(attempt_id: UUID, kind: str, digest: bytes) -> str:
    """Where a payload with this digest is sealed for."""
    return f"callbacks/{attempt_id}/{kind}/{digest.hex()}"
