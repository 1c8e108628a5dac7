"""A delivery survives the message that carries it."""

import json
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.deliveries import Delivery


@given(st.uuids(), st.binary(max_size=100), st.binary(min_size=32, max_size=32), st.none() | st.text())
def test_a_delivery_survives_json(attempt_id: UUID, payload: bytes, digest: bytes, address: str) -> None:
    delivery = Delivery(
        attempt_id=attempt_id,
        kind="result",
        digest=digest,
        payload=payload,
        address=address,
        received_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    assert Delivery.read(json.loads(json.dumps(delivery.message()))) == delivery


def test_stored_bytes_are_in_no_repr() -> None:
    delivery = Delivery(
        attempt_id=UUID(int=0),
        kind="result",
        digest=b"",
        payload=b"sealed",
        address=None,
        received_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    assert "sealed" not in repr(delivery)
