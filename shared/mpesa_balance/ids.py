"""Ids that follow the clock, so that what is new stands together in every index. Pure."""

import os
import time
from uuid import UUID


def time_ordered_id() -> UUID:
    """A UUID of version 7 (RFC 9562): the milliseconds since 1970, and 74 random bits.

    With random ones each new row has pages of its own in each index, which Postgres reads, and writes
    whole into its log, the more the longer the index is.
    """
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    number = number & ~(0xF << 76) | 7 << 76
    return UUID(int=number & ~(3 << 62) | 2 << 62)
