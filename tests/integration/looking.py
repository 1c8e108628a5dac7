"""A worker that looks answers up, and opens requests where it is told to, over a real broker."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from mpesa_balance.contract import GET_BALANCE, REQUESTS_QUEUE
from tests.integration import queued
from worker import lookups
from worker.house import House
from worker.intake import open_request


@contextmanager
def looking_up(house: House, store: redis.Redis, *, opens: bool = False) -> Iterator[None]:
    """Whoever asks how a request stands is answered meanwhile; other messages are passed by.

    opens: requests are opened as well.
    """
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            if taken := store.brpop([REQUESTS_QUEUE], 0.1):
                message = json.loads(taken[1])
                if message["headers"]["task"] == GET_BALANCE:
                    lookups.answer(house, **queued.arguments(message))
                elif opens:
                    open_request(house, message["headers"]["id"], queued.arguments(message))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
