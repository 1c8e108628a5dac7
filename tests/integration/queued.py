"""Messages in a queue of the broker, as a worker would read them."""

import base64
import json
from typing import Any

import redis

from mpesa_balance.contract import CALLBACKS_QUEUE


def messages(store: redis.Redis, queue: str = CALLBACKS_QUEUE) -> list[dict[str, Any]]:
    """What stands in the queue, oldest first."""
    return [json.loads(raw) for raw in reversed(store.lrange(queue, 0, -1))]


def arguments(message: dict[str, Any]) -> dict[str, Any]:
    """What the message's task is given, by name."""
    given: dict[str, Any] = json.loads(base64.b64decode(message["body"]))[1]
    return given


def tasks(messages: list[dict[str, Any]]) -> list[str]:
    """The name of each message's task, without what all of them begin with."""
    return [message["headers"]["task"].removeprefix("mpesa_balance.") for message in messages]
