"""Encryption at rest: AES-256-GCM envelopes that name their key and belong to one place.

An envelope is version (1 byte), length of the key id (1), key id, nonce (12), ciphertext and tag.
The place, such as "callbacks/<attempt>/<kind>", is associated data: an envelope that is moved to
another row does not open there.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mpesa_balance.errors import SealBroken

_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_KEY = re.compile(rf"({_KEY_ID.pattern}):([A-Za-z0-9+/=_-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals with the first key and opens with whichever key the envelope names."""

    keys: Mapping[str, AESGCM] = field(repr=False)

    @property
    def first(self) -> str:
        """The id of the key that seals."""
        return next(iter(self.keys))

    @property
    def head(self) -> bytes:
        """How every envelope of the key that seals begins."""
        return bytes([_VERSION, len(self.first)]) + self.first.encode()

    def seal(self, plain: bytes, place: str) -> bytes:
        """The envelope of `plain`, which opens at `place` only."""
        head, nonce = self.head, os.urandom(_NONCE_BYTES)
        return head + nonce + self.keys[self.first].encrypt(nonce, plain, head + place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed for `place`. Raises SealBroken, which never repeats any of the bytes."""
        named = key_id(sealed, place)
        end = 2 + sealed[1]
        key = self.keys.get(named)
        if key is None:
            raise SealBroken(f"{place} is sealed with key {named!r}: add that key to SEALING_KEYS")
        nonce, ciphertext = sealed[end : end + _NONCE_BYTES], sealed[end + _NONCE_BYTES :]
        try:
            return key.decrypt(nonce, ciphertext, sealed[:end] + place.encode())
        except (InvalidTag, ValueError):
            raise SealBroken(
                f"what stands at {place} does not open: SEALING_KEYS holds another key under the id "
                f"{named!r}, or it was changed or moved there"
            ) from None

    def seal_text(self, plain: str, place: str) -> bytes:
        """The envelope of a text."""
        return self.seal(plain.encode(), place)

    def open_text(self, sealed: bytes, place: str) -> str:
        """The text that was sealed for `place`."""
        return self.open(sealed, place).decode()


def key_id(sealed: bytes, place: str) -> str:
    """Which key an envelope, or its beginning up to the nonce, names.

    Raises SealBroken, which says that what stands at `place` is no envelope.
    """
    is_ours = len(sealed) > 1 and sealed[0] == _VERSION and len(sealed) >= 2 + sealed[1]
    named = sealed[2 : 2 + sealed[1]].decode("ascii", "replace") if is_ours else ""
    if not _KEY_ID.fullmatch(named):
        raise SealBroken(f"what stands at {place} is not a sealed envelope")
    return named


def new_key() -> str:
    """A fresh 256-bit key as settings write it, in base64."""
    return base64.b64encode(os.urandom(_KEY_BYTES)).decode()


def parse_key(text: str) -> bytes:
    """The 32 bytes of a base64 key. Raises ValueError, which never repeats the text."""
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError("a key must be 32 bytes in base64: make one with `mpesa-balance keys new`")
    return key


def parse_sealer(text: str) -> Sealer:
    """The Sealer of "id:key,id:key". Raises ValueError, which never repeats the text."""
    keys: dict[str, AESGCM] = {}
    for entry in text.split(","):
        found = _KEY.fullmatch(entry.strip())
        if not found or found[1] in keys:
            raise ValueError("must be id:key,id:key with distinct ids; the first key seals")
        keys[found[1]] = AESGCM(parse_key(found[2]))
    return Sealer(keys)
