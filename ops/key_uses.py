"""What sealing keys are used for outside of Postgres: tokens and messages in Redis, callbacks in spools."""

from collections import Counter
from pathlib import Path
from typing import Any, Final, cast

import redis
from kombu.transport.redis import Channel

from mpesa_balance.contract import QUEUES, UNROUTABLE_QUEUE
from mpesa_balance.errors import BrokerUnavailable, SealBroken
from mpesa_balance.sealed_messages import key_ids
from mpesa_balance.sealing import key_id
from webhooks.spool_directory import deliveries_in, spools_in
from worker.tokens import NAMES

#: How long Redis may take for one answer, in seconds: a queue may hold megabytes.
_SECONDS: Final = 10

_QUEUES: Final = (*dict.fromkeys(QUEUES.values()), UNROUTABLE_QUEUE)


def in_broker(broker_url: str) -> dict[str, Counter[str]]:
    """How many envelopes each key id has sealed: of tokens, and in messages by their queue.

    Raises BrokerUnavailable.
    """
    timeouts = {"socket_timeout": _SECONDS, "socket_connect_timeout": _SECONDS}
    with redis.Redis.from_url(broker_url, **timeouts, retry=None) as broker:
        try:
            return {"tokens": _tokens(broker), **_messages(broker)}
        except redis.RedisError as error:
            raise BrokerUnavailable(
                f"Redis cannot be looked through: {error}. Check that it runs and BROKER_URL is right"
            ) from error


def in_spools(directory: Path) -> dict[str, Counter[str]]:
    """The same of the callbacks that wait in SPOOL_DIR, by file. Raises SpoolUnavailable."""
    return {
        str(spool): Counter(key_id(one.payload, one.place) for one in deliveries_in(spool))
        for spool in spools_in(directory)
    }


def _tokens(broker: redis.Redis) -> Counter[str]:
    found: Counter[str] = Counter()
    for name in broker.scan_iter(f"{NAMES}*"):
        sealed = cast("bytes | None", broker.get(name))
        try:
            found[key_id(sealed or b"", "a token")] += 1
        except SealBroken:
            # The lock of whoever mints one: its name begins like a token's.
            continue
    return found


def _messages(broker: redis.Redis) -> dict[str, Counter[str]]:
    # All at one moment: a message that goes back to its queue meanwhile must not be overlooked.
    with broker.pipeline(transaction=True) as pipeline:
        for queue in _QUEUES:
            pipeline.lrange(queue, 0, -1)
        pipeline.hvals(Channel.unacked_key)
        answers: list[Any] = pipeline.execute()
    names = (*_QUEUES, Channel.unacked_key)
    return {name: _in_messages(answer) for name, answer in zip(names, answers, strict=True)}


def _in_messages(messages: list[bytes]) -> Counter[str]:
    found: Counter[str] = Counter()
    for message in messages:
        found.update(key_ids(message.decode(errors="replace")))
    return found
