"""Ask for a balance from another Python service: by task name, with nothing heavier than Celery."""

import time
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, Self
from uuid import UUID, uuid4, uuid5

from celery import Celery
from kombu.exceptions import OperationalError

from mpesa_balance.answers import AnsweredBy, BalanceAnswer, Funds
from mpesa_balance.broker_urls import check_broker_url
from mpesa_balance.contract import (
    GET_BALANCE,
    QUEUES,
    REQUEST_BALANCE,
    TRACE_PARENT,
    UNROUTABLE_QUEUE,
    BalanceAsk,
    request_id,
)
from mpesa_balance.errors import BrokerUnavailable, NoAnswerYet, NoBalance, RequestRefused

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

#: What B2C payments (salaries, refunds, promotions) are paid from, as M-PESA names it.
UTILITY_ACCOUNT: Final = "Utility Account"

#: How long a worker may take to look an answer up, in seconds.
_LOOKUP: Final = 10.0

#: The worker's clock says when a question is too old, and may be so far ahead of ours. In seconds.
_CLOCKS_DIFFER: Final = 60

#: `wait` asks after the first of these, then each time half as long again, up to the second. In seconds.
_FIRST_LOOK, _LONGEST_PAUSE = 0.25, 2.0


class BalanceClient:
    """Asks for balances, and for what became of it, over the broker. Any thread may use it.

    client = BalanceClient("redis://localhost:6379/0", name="payroll")
    request_id = client.request_balance("600000", idempotency_key="payroll-2026-11")
    answer = client.wait(request_id, timeout=660)
    """

    def __init__(self, broker_url: str, *, name: str | None = None) -> None:
        """`broker_url`: redis:// or, with TLS, rediss://, then optionally ?ssl_ca_certs=/path.

        name: who asks and who looks, for the history and the audit trail.
        Raises ValueError where it is no address of a Redis; it never repeats it.
        """
        address = check_broker_url(broker_url)
        self._name = name
        self._address = address
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
        reply_to: tuple[str, str] | None = None,
        include_accounts: bool = False,
    ) -> UUID:
        """Ask for the balance of a registered shortcode; returns the request's id at once.

        Asking twice with one idempotency key for one shortcode is one request with one id. A balance
        that is at most `max_age` seconds old is the answer where there is one; a query in flight is
        joined; within the minimum interval the answer is the balance at hand. `force` asks anew.

        reply_to: (task, queue) of your own Celery task that is told how it ended, at least once, with
        one keyword argument `event`; amounts are in it only with `include_accounts`, and pass through
        Redis then.
        Raises RequestRefused (with everything that is wrong) or BrokerUnavailable.
        """
        given = {
            "shortcode": shortcode,
            "idempotency_key": idempotency_key,
            "remarks": remarks,
            "requested_by": requested_by or self._name,
            "max_age": max_age,
            "force": force,
            "reply_to": reply_to and {"task": reply_to[0], "queue": reply_to[1]},
            "include_accounts": include_accounts,
        }
        ask = BalanceAsk.read(given)
        task_id = str(uuid4())
        self._send(REQUEST_BALANCE, ask.message(), task_id=task_id)
        return request_id(ask, task_id)

    def get(self, request_id: UUID, *, timeout: float = _LOOKUP) -> BalanceAnswer:
        """How a request stands now, with the accounts where it has any. Nothing of it stays in Redis.

        timeout: how long a worker may take to look it up, in seconds.
        Raises BrokerUnavailable, or NoAnswerYet where no worker answers.
        """
        answer = self._look_up(request_id, timeout)
        if answer is None:
            raise NoAnswerYet(
                f"no worker has looked up request {request_id} within {timeout:.0f} s: "
                "check that workers run, then ask again"
            )
        return answer

    def wait(self, request_id: UUID, timeout: float) -> BalanceAnswer:
        """Wait until a request has ended, at most `timeout` seconds, also while the broker is away.

        Raises NoAnswerYet: then the request goes on, and `get` tells of it later.
        """
        ends, pause = time.monotonic() + timeout, _FIRST_LOOK
        while (left := ends - time.monotonic()) > 0:
            with suppress(BrokerUnavailable):
                answer = self._look_up(request_id, min(left, _LOOKUP))
                if answer is not None and answer.is_ended:
                    return answer
            time.sleep(max(min(pause, ends - time.monotonic()), 0))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        raise NoAnswerYet(f"request {request_id} has not ended within {timeout:.0f} s: it goes on")

    def check_funds(
        self,
        shortcode: str,
        amount: Decimal,
        *,
        account: str = UTILITY_ACCOUNT,
        max_age: int | None = None,
        timeout: float = 660,
        idempotency_key: str | None = None,
    ) -> Funds:
        """Whether the money is there: what is available in `account` against `amount`, a Decimal.

        A balance that is at most `max_age` seconds old will do, and where it is given no older one does.
        Without it, M-PESA is asked anew but within the minimum interval (MINIMUM_INTERVAL_SECONDS, five
        minutes by default), in which the balance at hand is the answer: its age is in `as_of`. It waits
        for M-PESA's answer, at most `timeout` seconds; 660 is a minute more than a query may take.
        Raises ValueError (no amount), RequestRefused, NoBalance (failed, timed out, or no such account),
        NoAnswerYet or BrokerUnavailable.
        """
        if not isinstance(amount, Decimal | int) or not Decimal(amount).is_finite() or amount < 0:
            raise ValueError(
                "amount must be a Decimal of 0 or more: a float does not hold shillings and cents"
            )
        ends = time.monotonic() + timeout
        asked = self.request_balance(shortcode, max_age=max_age, idempotency_key=idempotency_key)
        answer = self.wait(asked, timeout)
        if max_age is not None and answer.answered_by is AnsweredBy.TOO_SOON:
            # A key that follows from the first request, so that doing it all again is one request as well.
            anew = str(uuid5(asked, "anew"))
            asked = self.request_balance(shortcode, force=True, idempotency_key=anew)
            answer = self.wait(asked, ends - time.monotonic())
        if answer.refusal is not None:
            raise RequestRefused([answer.refusal])
        found = answer.account(account)
        if found.available is None:
            raise NoBalance(f"M-PESA did not say what is available in the {account} of {shortcode}")
        return Funds(
            shortcode=shortcode,
            account=account,
            currency=found.currency,
            needed=Decimal(amount),
            available=found.available,
            as_of=answer.completed_at or answer.ended_at,
            request_id=asked,
        )

    def _look_up(self, request_id: UUID, timeout: float) -> BalanceAnswer | None:
        # Here and not above: redis brings what it finds installed, and who only asks does without.
        from mpesa_balance.listening import listening

        with listening(self._address) as (channel, listen):
            message = {"request_id": str(request_id), "channel": channel, "requested_by": self._name}
            self._send(GET_BALANCE, message, expires=timeout + _CLOCKS_DIFFER)
            document = listen(timeout)
        return None if document is None else BalanceAnswer.read(document)

    def _send(self, task: str, message: Mapping[str, Any], **options: Any) -> None:
        try:
            self._app.send_task(
                task, kwargs=dict(message), queue=QUEUES[task], headers=_trace_headers(), **options
            )
        except OperationalError as error:
            raise BrokerUnavailable(
                f"The request was not sent: the broker cannot be used ({error}). "
                "Check that Redis runs and BROKER_URL is right, then ask again"
            ) from error

    def close(self) -> None:
        """Give the broker connections back."""
        self._app.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _trace_headers() -> dict[str, str]:
    """The trace that the caller is in, where it has OpenTelemetry."""
    try:
        from opentelemetry import propagate
    except ImportError:
        return {}
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return {name: value for name, value in headers.items() if name == TRACE_PARENT}
