"""Ask for a balance from another Python service: by task name, with nothing heavier than Celery."""

from typing import Final, Self
from uuid import UUID, uuid4

from celery import Celery
from kombu.exceptions import OperationalError

from mpesa_balance.broker_urls import check_broker_url
from mpesa_balance.contract import (
    QUEUES,
    REQUEST_BALANCE,
    UNROUTABLE_QUEUE,
    BalanceAsk,
    request_id,
)
from mpesa_balance.errors import BrokerUnavailable

#: How a publisher meets a broker that is away: it fails within two seconds and says so.
PUBLISHING: Final = {
    "broker_transport_options": {
        # Celery waits for ever on a Redis that accepts and says nothing, unless it is told not to.
        "socket_timeout": 0.5,
        "socket_connect_timeout": 0.5,
        # A Redis that was emptied forgets which queue a message belongs to; it is kept, not dropped.
        "deadletter_queue": UNROUTABLE_QUEUE,
    },
    # A few connections are enough, and waiting for one of them is bounded.
    "broker_pool_limit": 4,
    "broker_pool_acquire_timeout": 1,
    "broker_connection_timeout": 1,
    "task_publish_retry": True,
    # Turning retries off altogether falls back to slower ones of the connection: 6 s, measured.
    "task_publish_retry_policy": {
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    },
    # What we send is read by programs of any version, and never unpickled.
    "task_serializer": "json",
    "accept_content": ["json"],
    # Answers are in Postgres; a result nobody reads would stay in Redis.
    "task_ignore_result": True,
}


class BalanceClient:
    """Sends balance requests to the house over its broker.

    client = BalanceClient("redis://localhost:6379/0")
    request_id = client.request_balance("600000", idempotency_key="payroll-2026-11")
    """

    def __init__(self, broker_url: str) -> None:
        """`broker_url`: redis:// or, with TLS, rediss://, then optionally ?ssl_ca_certs=/path.

        Raises ValueError where it is no address of a Redis; it never repeats it.
        """
        address = check_broker_url(broker_url)
        self._app = Celery("mpesa-balance-client", broker=address, set_as_current=False)
        self._app.conf.update(PUBLISHING)

    def request_balance(
        self,
        shortcode: str,
        *,
        idempotency_key: str | None = None,
        remarks: str | None = None,
        requested_by: str | None = None,
        max_age: int | None = None,
        force: bool = False,
    ) -> UUID:
        """Ask for the balance of a registered shortcode; returns the request's id at once.

        Asking twice with one idempotency key for one shortcode is one request with one id. A balance
        that is at most `max_age` seconds old is the answer where there is one; a query in flight is
        joined; within the minimum interval the answer is the balance at hand. `force` asks anew.
        Raises RequestRefused (with everything that is wrong) or BrokerUnavailable.
        """
        given = {
            "shortcode": shortcode,
            "idempotency_key": idempotency_key,
            "remarks": remarks,
            "requested_by": requested_by,
            "max_age": max_age,
            "force": force,
        }
        ask = BalanceAsk.read(given)
        task_id = str(uuid4())
        try:
            self._app.send_task(
                REQUEST_BALANCE,
                kwargs=ask.message(),
                queue=QUEUES[REQUEST_BALANCE],
                task_id=task_id,
            )
        except OperationalError as error:
            raise BrokerUnavailable(
                f"The request was not sent: the broker cannot be used ({error}). "
                "Check that Redis runs and BROKER_URL is right, then ask again"
            ) from error
        return request_id(ask, task_id)

    def close(self) -> None:
        """Give the broker connections back."""
        self._app.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
