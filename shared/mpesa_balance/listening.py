"""Listening for one answer of a worker: over a channel of Redis, which keeps nothing of what passes."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from uuid import uuid4

import redis

from mpesa_balance.contract import ANSWERS
from mpesa_balance.errors import BrokerUnavailable

#: Waits for one answer, in seconds; None where it did not come.
Listen = Callable[[float], Mapping[str, Any] | None]


@contextmanager
def listening(broker_url: str) -> Iterator[tuple[str, Listen]]:
    """A channel that is listened to, and what waits for its one message.

    Raises BrokerUnavailable within two seconds.
    """
    name = ANSWERS + uuid4().hex
    store = redis.Redis.from_url(broker_url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=None)
    with _told(), store, store.pubsub() as channel:  # type: ignore[no-untyped-call]
        channel.subscribe(name)
        # Redis confirms it; a question that is asked before could be answered to nobody.
        if channel.get_message(timeout=1) is None:
            raise redis.TimeoutError("the subscription was not confirmed")
        yield name, lambda seconds: _next(channel, seconds)


def _next(channel: Any, seconds: float) -> Mapping[str, Any] | None:
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        message = channel.get_message(timeout=left)
        if message and message["type"] == "message":
            return cast("Mapping[str, Any]", json.loads(message["data"]))
    return None


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise BrokerUnavailable(
            f"The answer cannot be listened for: the broker cannot be used ({error}). "
            "Check that Redis runs and BROKER_URL is right, then ask again"
        ) from error
