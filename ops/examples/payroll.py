"""A payroll that pays only where the money is there: it asks, goes on with other things, and is told."""

import os
import sys
from decimal import Decimal
from typing import Any
from uuid import UUID

from celery import Celery
from celery.utils.log import get_task_logger

from mpesa_balance import BalanceAnswer, BalanceClient, BrokerUnavailable, MpesaBalanceError, NoBalance

logger = get_task_logger(__name__)

BROKER_URL = os.environ["BROKER_URL"]

#: What is to be paid: a real program has this, for each payroll, in its database.
NEEDED = Decimal(os.environ.get("NEEDED", "1500000"))

app = Celery("payroll", broker=BROKER_URL)
app.conf.update(
    # Messages that are being worked on are kept under names of our own: the balance system uses the
    # same Redis, and would give ours to others after its own, shorter, time.
    broker_transport_options={
        "unacked_key": "payroll-unacked",
        "unacked_index_key": "payroll-unacked-index",
        "unacked_mutex_key": "payroll-unacked-mutex",
    },
    task_default_queue="payroll",
    task_acks_late=True,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)


def ask(shortcode: str, payroll: str) -> UUID:
    """Ask for a balance that is at most a minute old. Asking again for one payroll is the same request."""
    with BalanceClient(BROKER_URL, name="payroll") as client:
        return client.request_balance(
            shortcode,
            idempotency_key=f"payroll-{payroll}",
            max_age=60,
            reply_to=("payroll.balance_known", "payroll"),
        )


@app.task(name="payroll.balance_known", autoretry_for=(BrokerUnavailable,), retry_backoff=True)
def balance_known(*, event: dict[str, Any]) -> None:
    """Told how the request ended, at least once: what is done here must bear to be done twice."""
    payroll = (event["idempotency_key"] or "").removeprefix("payroll-")
    if event["state"] != "completed":
        logger.warning("payroll %s waits: %s", payroll, event["advice"] or event["state"])
        return
    # The event holds no amounts: they are fetched, and nothing of them stays in Redis.
    with BalanceClient(BROKER_URL, name="payroll") as client:
        answer = client.get(UUID(event["request_id"]))
    decide(payroll, answer)


def decide(payroll: str, answer: BalanceAnswer) -> None:
    """Pay, or say what is missing."""
    try:
        available = answer.account("Utility Account").available
    except NoBalance as error:
        logger.warning("payroll %s waits: %s", payroll, error)
        return
    if available is not None and available >= NEEDED:
        logger.warning("payroll %s can be paid", payroll)
    else:
        logger.warning("payroll %s waits for a top-up", payroll)


if __name__ == "__main__":
    try:
        print(ask(shortcode=sys.argv[1], payroll=sys.argv[2]))
    except MpesaBalanceError as error:
        sys.exit(f"not asked: {error}")
