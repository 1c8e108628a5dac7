"""Traffic: callers that ask for balances, and a Daraja that sends callbacks faster than any real one."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID, uuid4

import requests

from mpesa_balance import BalanceClient
from mpesa_balance.callback_urls import RESULT, CallbackSigner
from mpesa_balance.database import Database
from mpesa_balance.errors import BrokerUnavailable, DatabaseUnavailable
from tests import samples
from tests.faults.ledger import Books, Ledger

SHORTCODE = "600000"

#: The queue in which callers are told how their requests ended.
TOLD = "callers-told"

#: A request that is not in Postgres by then is asked for again, under its key, as a caller would.
PATIENCE = 20.0

_SUCCESS = samples.document("success/docs-2017-07-28-daraja1.json")


class Callers:
    """Ask for balances at a rate, and again under the same key for what seems to have been lost."""

    def __init__(self, ledger: Ledger, broker_url: str) -> None:
        self._ledger = ledger
        self._client = BalanceClient(broker_url)
        self._keys: dict[UUID, str] = {}

    def know(self, others: "Callers") -> None:
        """Look after what others asked for as well."""
        self._keys |= others._keys

    def ask(self) -> UUID | None:
        """One more request; None where the broker says that it does not take it."""
        key = uuid4().hex
        try:
            request_id = self._ask(key)
        except BrokerUnavailable:
            return None
        with self._ledger.books.lock:
            self._ledger.books.asked[request_id] = time.monotonic()
            self._keys[request_id] = key
        return request_id

    def _ask(self, key: str) -> UUID:
        reply_to = ("callers.told", TOLD)
        return self._client.request_balance(SHORTCODE, idempotency_key=key, force=True, reply_to=reply_to)

    def ask_again(self) -> None:
        """What is not in Postgres after a while was lost with Redis."""
        try:
            missing = self._ledger.missing()
        except DatabaseUnavailable:
            return
        for request_id in missing:
            with self._ledger.books.lock:
                is_late = time.monotonic() - self._ledger.books.asked[request_id] > PATIENCE
            if not is_late:
                continue
            try:
                self._ask(self._keys[request_id])
            except BrokerUnavailable:
                return
            with self._ledger.books.lock:
                self._ledger.books.asked[request_id] = time.monotonic()
                self._ledger.books.asked_again += 1


@contextmanager
def asking(callers: Callers, rate: float) -> Iterator[None]:
    """Callers that ask `rate` times a second meanwhile."""
    with _in_background(callers.ask, 1 / rate):
        yield


@contextmanager
def asking_again(callers: Callers) -> Iterator[None]:
    """Callers that look after what they asked for."""
    with _in_background(callers.ask_again, 2.0):
        yield


class Storm:
    """Results of queries that are acknowledged, posted as fast as is wanted."""

    def __init__(self, database: Database, signer: CallbackSigner, webhooks_url: str, books: Books) -> None:
        self._database = database
        self._signer = signer
        self._url = webhooks_url
        self._books = books
        self._latencies: list[float] = []

    def prepare(self, count: int) -> list[UUID]:
        """The attempts of `count` acknowledged queries."""
        with self._database.transaction() as connection:
            return [row["id"] for row in connection.execute(_PREPARE, {"count": count})]

    def post(self, attempts: list[UUID], rate: float) -> list[float]:
        """Post a result for each, `rate` a second; how long each 200 took, in seconds."""
        with ThreadPoolExecutor(16) as senders:
            for attempt_id, _ in zip(attempts, _beats(1 / rate, threading.Event()), strict=False):
                senders.submit(self._send, attempt_id)
        return self._latencies

    def _send(self, attempt_id: UUID) -> None:
        document = json.loads(json.dumps(_SUCCESS))
        for name in ("OriginatorConversationID", "ConversationID", "TransactionID"):
            document["Result"][name] = uuid4().hex
        body = json.dumps(document)
        address = self._signer.urls(self._url, attempt_id)[RESULT]
        begun = time.monotonic()
        try:
            status = requests.post(address, data=body.encode(), timeout=10).status_code
        except requests.RequestException:
            status = 0
        with self._books.lock:
            if status == 200:
                self._books.accepted.append(body)
                self._latencies.append(time.monotonic() - begun)
            else:
                self._books.refused += 1


def _beats(every: float, stopped: threading.Event) -> Iterator[None]:
    """One for each so many seconds, whatever is done in between, until it is stopped."""
    due = time.monotonic()
    while not stopped.wait(max(due - time.monotonic(), 0)):
        due += every
        yield


@contextmanager
def _in_background(act: Callable[[], object], every: float) -> Iterator[None]:
    stopped = threading.Event()

    def run() -> None:
        for _ in _beats(every, stopped):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


_PREPARE = """
    WITH queries AS (
        INSERT INTO balance_queries (id, shortcode, remarks, forced, deadline_at, next_attempt_at)
        SELECT gen_random_uuid(), '600000', 'storm', true, later, later
        FROM generate_series(1, %(count)s), (SELECT now() + interval '1 hour' AS later) AS times
        RETURNING id
    ), moved AS (
        INSERT INTO query_events (query_id, state, cause) SELECT id, 'pending', 'storm' FROM queries
    )
    INSERT INTO submission_attempts (id, query_id, number, state)
    SELECT gen_random_uuid(), id, 1, 'acknowledged' FROM queries RETURNING id
"""
