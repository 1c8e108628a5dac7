"""Envelopes are found in messages however deep they are, and sealed anew where they carry callbacks."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.deliveries import Delivery, delivery_place
from mpesa_balance.errors import SealBroken
from mpesa_balance.sealed_messages import key_ids, renewed
from mpesa_balance.sealing import new_key, parse_sealer

OLD = parse_sealer(f"old:{new_key()}")
NEW_KEY = f"new:{new_key()}"
ATTEMPT = UUID("7f1b8c0e-0000-4000-8000-000000000001")


def delivery(number: int = 0) -> dict[str, Any]:
    digest = bytes([number]) * 32
    return Delivery(
        attempt_id=ATTEMPT,
        kind="result",
        digest=digest,
        payload=OLD.seal(b"balance", delivery_place(ATTEMPT, "result", digest)),
        address=None,
        received_at=datetime(2026, 11, 22, tzinfo=UTC),
    ).message()


def task(deliveries: Any) -> bytes:
    return json.dumps({"args": [], "kwargs": {"deliveries": deliveries, "spool": "0"}}).encode()


def grown(old_key: str) -> str:
    return f"{NEW_KEY},{old_key}"


def encoded(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def test_an_envelope_is_found_in_json_in_base64_in_json() -> None:
    inner = {"args": [], "kwargs": {"deliveries": [delivery(), delivery(1)]}}
    for message in (
        inner,
        json.dumps(inner),
        {"body": encoded([[], inner["kwargs"], {}]), "headers": {}},
        json.dumps([{"body": encoded([[], {"message": encoded(inner)}, {}])}, "exchange", "key"]),
    ):
        assert list(key_ids(message)) == ["old", "old"]


@pytest.mark.parametrize(
    "text", ["", "AQ", "{", "[1", "é", "hello", "AQNvbGQ", base64.b64encode(b"{x").decode()]
)
def test_what_is_no_envelope_names_no_key(text: str) -> None:
    assert list(key_ids({"a": [text, 1, None, True]})) == []


@given(st.lists(st.recursive(st.text() | st.none() | st.integers(), st.lists, max_leaves=5)))
def test_whatever_a_message_holds_it_can_be_looked_through(document: list[object]) -> None:
    assert list(key_ids([*document, delivery()])) == list(key_ids(json.dumps([*document, delivery()])))


def test_callbacks_in_a_message_are_sealed_anew_and_nothing_else_changes() -> None:
    old_key = new_key()
    old, both = parse_sealer(f"old:{old_key}"), parse_sealer(grown(f"old:{old_key}"))
    place = delivery_place(ATTEMPT, "result", b"\0" * 32)
    one = delivery() | {"payload": base64.b64encode(old.seal(b"balance", place)).decode(), "number": 7}
    message = task([one, "junk", 5, None, {"attempt_id": 5}, {"attempt_id": "x"}])
    before = json.loads(message)
    first, *others = json.loads(renewed(both, message))["kwargs"]["deliveries"]
    assert parse_sealer(NEW_KEY).open(base64.b64decode(first["payload"]), place) == b"balance"
    assert first | {"payload": one["payload"]} == one
    assert others == before["kwargs"]["deliveries"][1:]
    again = renewed(both, message)
    assert json.loads(again)["kwargs"]["spool"] == "0"
    assert renewed(both, again) == again


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b'{"args":[],  "kwargs": {}}',
        b'{"kwargs":{"deliveries":5}}',
        b'{"kwargs":{"deliveries":[]}}',
    ],
)
def test_a_message_without_callbacks_stays_as_it_is(message: bytes) -> None:
    assert renewed(OLD, message) == message


def test_a_callback_that_does_not_open_breaks_the_seal() -> None:
    with pytest.raises(SealBroken, match=f"callbacks/{ATTEMPT}/result"):
        renewed(parse_sealer(NEW_KEY), task([delivery()]))
