"""Passing callbacks on to the worker: a confirmed write to the broker, or an error within a second."""

from collections.abc import Sequence

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from mpesa_balance.client import PUBLISHING
from mpesa_balance.contract import QUEUES, RECORD_CALLBACKS
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import BrokerUnavailable
from mpesa_balance.settings import BrokerSettings


class Publisher:
    """Sends deliveries to the callbacks queue. Raises BrokerUnavailable where Redis does not take them."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._app = Celery("mpesa-balance-webhooks", broker=settings.broker_url, set_as_current=False)
        self._app.conf.update(PUBLISHING)
        # One try of half a second: whoever asks whether we are ready asks again soon.
        self._redis = redis.Redis.from_url(
            settings.broker_url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=None
        )
        # Flower shows that a callback was passed on, and when.
        self._app.conf.task_send_sent_event = True

    def publish(self, deliveries: Sequence[Delivery]) -> None:
        """Pass deliveries on as one message."""
        try:
            self._app.send_task(
                RECORD_CALLBACKS,
                kwargs={"deliveries": [delivery.message() for delivery in deliveries]},
                queue=QUEUES[RECORD_CALLBACKS],
                # What Flower and logs show of the arguments.
                kwargsrepr=f"<{len(deliveries)} callbacks>",
            )
        except OperationalError as error:
            raise BrokerUnavailable(f"the broker did not take the callback: {error}") from error

    def check(self) -> None:
        """Ask the broker whether it is there."""
        try:
            self._redis.ping()
        except redis.RedisError as error:
            raise BrokerUnavailable(f"the broker does not answer: {error}") from error
