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


class Listener:
    """Hears answers, each on a channel of its own. Raises BrokerUnavailable within two seconds."""

    def __init__(self, broker_url: str) -> None:
        self._store = redis.Redis.from_url(
            broker_url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=None
        )

    @contextmanager
    def channel(self) -> Iterator[tuple[str, Listen]]:
        """A channel that is listened to, and what waits for its one message."""
        name = ANSWERS + uuid4().hex
        with _told(), self._store.pubsub() as channel:  # type: ignore[no-untyped-call]
            channel.subscribe(name)
            # Redis confirms it; a question that is asked before could be answered to nobody.
            if channel.get_message(timeout=1) is None:
                raise redis.TimeoutError("the subscription was not confirmed")
            yield name, lambda seconds: _next(channel, seconds)

    def close(self) -> None:
        """Give the connections back."""
        self._store.close()


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
