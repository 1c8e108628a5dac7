"""Envelopes inside messages: which keys they name, and how a message is made that has them sealed anew."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import SealBroken
from mpesa_balance.sealing import Sealer, key_id


def key_ids(document: object) -> Iterator[str]:
    """The key id of each envelope in a message, however deep its JSON and base64 are nested."""
    if isinstance(document, dict):
        for value in document.values():
            yield from key_ids(value)
    elif isinstance(document, list):
        for value in document:
            yield from key_ids(value)
    elif isinstance(document, str):
        yield from _in_text(document)


def renewed(sealer: Sealer, message: bytes) -> bytes:
    """A task's message, {"args": [...], "kwargs": {...}}, its callbacks sealed with the first key.

    The same bytes where nothing is to be done. Raises SealBroken where one of them does not open.
    """
    document: Any = _parsed(message)
    try:
        before = document["kwargs"]["deliveries"]
        after = [_renewed_delivery(sealer, one) for one in before]
    except (KeyError, TypeError):
        # It carries no callbacks.
        return message
    document["kwargs"]["deliveries"] = after
    return message if after == before else json.dumps(document).encode()


def _renewed_delivery(sealer: Sealer, message: Any) -> Any:
    try:
        delivery = Delivery.read(message)
    except (AttributeError, KeyError, TypeError, ValueError):
        # Whatever it is, we did not make it, and it stays as it is.
        return message
    if delivery.payload.startswith(sealer.head):
        return message
    sealed = sealer.seal(sealer.open(delivery.payload, delivery.place), delivery.place)
    return message | {"payload": replace(delivery, payload=sealed).message()["payload"]}


def _in_text(text: str) -> Iterator[str]:
    """A text may be a document itself, or one in base64, or an envelope in base64."""
    if text.lstrip().startswith(("{", "[")):
        yield from key_ids(_parsed(text))
        return
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        return
    try:
        yield key_id(decoded, "a message")
    except SealBroken:
        if decoded.startswith((b"{", b"[")):
            yield from key_ids(_parsed(decoded))


def _parsed(text: str | bytes) -> object:
    try:
        parsed: object = json.loads(text)
    except ValueError:
        return None
    return parsed
