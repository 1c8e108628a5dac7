"""Waiting until every part of the stack answers, and saying which one does not."""

import time
from collections.abc import Callable
from typing import Final

import requests
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from mpesa_balance.errors import MpesaBalanceError

#: From a cold start on two cores the stack takes about five seconds, and many times as long on a machine
#: that has other work.
PATIENCE_SECONDS: Final = 120

_WORKERS: Final = ("callbacks", "submissions")


def wait_for(broker_url: str, pages: dict[str, str]) -> None:
    """Return when each page (name to address) and both workers answer; otherwise raise."""
    checks: dict[str, Callable[[], bool]] = {
        name: lambda address=address: _answers(address)  # type: ignore[misc]
        for name, address in pages.items()
    }
    checks["workers"] = lambda: _workers_answer(broker_url)
    ends = time.monotonic() + PATIENCE_SECONDS
    for name, check in checks.items():
        while not check():
            if time.monotonic() > ends:
                raise MpesaBalanceError(
                    f"{name} did not become ready within {PATIENCE_SECONDS} s: its log lines say why"
                )
            time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        # Flower answers 401 to whoever has no password, and that is an answer.
        status = requests.get(address, timeout=2).status_code
    except requests.RequestException:
        return False
    return status in (requests.codes.ok, requests.codes.unauthorized)


def _workers_answer(broker_url: str) -> bool:
    with Celery(broker=broker_url, set_as_current=False) as app:
        try:
            replies = app.control.ping(timeout=0.5)
        except (OperationalError, RedisError):
            return False
    answered = {node.partition("@")[0] for reply in replies or () for node in reply}
    return answered.issuperset(_WORKERS)
