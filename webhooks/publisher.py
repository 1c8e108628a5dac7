"""The broker as the webhook tier uses it: callbacks out, receipts in, within a second or an error."""

import re
from collections.abc import Sequence
from typing import Any, cast

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from mpesa_balance.client import PUBLISHING
from mpesa_balance.contract import QUEUES, RECEIPTS, RECORD_CALLBACKS, RECORD_SPOOLED
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import BrokerUnavailable
from mpesa_balance.settings import BrokerSettings
from webhooks.spool import Spooled

_MOST_RECEIPTS = 1000

#: What SQLite takes for a number; anything else is the receipt of nothing.
_NUMBER = re.compile(rb"[0-9]{1,18}")


class Publisher:
    """Sends to the callbacks queue. Raises BrokerUnavailable where Redis does not do what is asked.

    Its user in Redis needs to do no more than what stands here: see ops/redis-users.acl.
    """

    def __init__(self, settings: BrokerSettings) -> None:
        self._app = Celery("mpesa-balance-webhooks", broker=settings.broker_url, set_as_current=False)
        self._app.conf.update(PUBLISHING)
        # One try of half a second: whoever asks will ask again soon.
        self._redis = redis.Redis.from_url(
            settings.broker_url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=None
        )

    def publish(self, deliveries: Sequence[Delivery]) -> None:
        """Give the broker what nobody else keeps: the worker tries these until they are recorded."""
        self._send(RECORD_CALLBACKS, [delivery.message() for delivery in deliveries])

    def publish_spooled(self, spool_id: str, spooled: Sequence[Spooled]) -> None:
        """Pass on what the spool keeps; the worker's receipt names their numbers."""
        messages = [{**one.message, "number": one.number} for one in spooled]
        self._send(RECORD_SPOOLED, messages, spool=spool_id)

    def receipts(self, spool_id: str) -> list[int]:
        """The numbers that Postgres has, each told once."""
        try:
            told = self._redis.lpop(f"{RECEIPTS}{spool_id}", _MOST_RECEIPTS)
        except redis.RedisError as error:
            raise _unavailable(error) from error
        return [
            int(number) for number in cast("list[bytes] | None", told) or () if _NUMBER.fullmatch(number)
        ]

    def queued(self) -> int:
        """How many messages wait for a worker."""
        try:
            return self._redis.llen(QUEUES[RECORD_SPOOLED])
        except redis.RedisError as error:
            raise _unavailable(error) from error

    def check(self) -> None:
        """Ask the broker whether it is there."""
        try:
            self._redis.ping()
        except redis.RedisError as error:
            raise _unavailable(error) from error

    def _send(self, task: str, deliveries: list[dict[str, Any]], **more: str) -> None:
        try:
            self._app.send_task(
                task,
                kwargs={"deliveries": deliveries, **more},
                queue=QUEUES[task],
                # Nothing is declared, nor told to Flower: both would need rights to more than the queue,
                # and the message goes to it by its name.
                declare=(),
                # What Flower and logs show of the arguments.
                kwargsrepr=f"<{len(deliveries)} callbacks>",
            )
        except OperationalError as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> BrokerUnavailable:
    return BrokerUnavailable(f"the broker cannot be used now: {error}")
