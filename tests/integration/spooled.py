"""Deliveries for the webhook tier's spool, as a test makes them and finds them there."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from mpesa_balance.deliveries import Delivery
from webhooks.spool_directory import deliveries_in


def delivery(payload: bytes = b"sealed", age: int = 0) -> Delivery:
    """One that came `age` seconds ago; what is in it is sealed for nobody."""
    return Delivery(
        attempt_id=uuid4(),
        kind="result",
        digest=os.urandom(32),
        payload=payload,
        address="127.0.0.1",
        received_at=datetime.now(UTC) - timedelta(seconds=age),
    )


def payloads_in(spool: Path) -> list[bytes]:
    """What stands in a spool, oldest first."""
    return [one.payload for one in deliveries_in(spool)]
