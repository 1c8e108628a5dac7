"""Full queues: what a system has accepted and not worked on yet, made by each one's own code."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from celery import Celery

from mpesa_balance.callback_urls import RESULT, CallbackSigner, payload_digest
from mpesa_balance.contract import CALLBACKS_QUEUE, REQUEST_BALANCE, REQUESTS_QUEUE
from mpesa_balance.deliveries import Delivery, delivery_place
from mpesa_balance.sealing import Sealer, parse_sealer
from mpesa_balance.setting_checks import signer
from mpesa_balance.settings import BrokerSettings
from ops.bench.ours import KEYS
from ops.bench.peers.commands import QUEUE
from ops.bench.population import Asked, result_around
from ops.bench.stores import Stores
from webhooks.courier import BATCH
from webhooks.publisher import Publisher
from webhooks.spool import Spooled

_SPOOL: Final = "0" * 32


def spooled_callbacks(stores: Stores, queries: Iterable[Asked]) -> str:
    """Results that our spool has published, in batches as our courier makes them; gives their queue."""
    publisher = Publisher(BrokerSettings(broker_url=stores.webhooks_broker_url))
    numbered = enumerate(_deliveries(queries), 1)
    while batch := list(islice(numbered, BATCH)):
        publisher.publish_spooled(
            _SPOOL, [Spooled(number, delivery.message()) for number, delivery in batch]
        )
    return CALLBACKS_QUEUE


def plain_callbacks(stores: Stores, queries: Iterable[Asked]) -> str:
    """The same results as plain Celery queues them, one a message; gives their queue."""
    return _sent(stores, "record", ({"payload": json.loads(_body(one))} for one in queries), QUEUE)


def empty_tasks(stores: Stores, count: int) -> str:
    """So many tasks that do nothing; gives their queue."""
    return _sent(stores, "empty", ({} for _ in range(count)), QUEUE)


def requests(stores: Stores, queries: Iterable[Asked]) -> str:
    """Balance requests by task name, as any other service makes them; gives their queue."""
    return _sent(stores, REQUEST_BALANCE, ({"shortcode": one.shortcode} for one in queries), REQUESTS_QUEUE)


def _sent(stores: Stores, task: str, messages: Iterable[dict[str, Any]], queue: str) -> str:
    with (
        Celery(broker=stores.broker_url, set_as_current=False) as app,
        app.producer_pool.acquire(block=True) as producer,
    ):
        for kwargs in messages:
            app.send_task(task, kwargs=kwargs, queue=queue, producer=producer)
    return queue


def _deliveries(queries: Iterable[Asked]) -> Iterator[Delivery]:
    """What the door of our webhook tier makes of each result."""
    signing, sealer = signer(KEYS["CALLBACK_KEYS"]), parse_sealer(KEYS["SEALING_KEYS"])
    for one in queries:
        yield _delivery(one, signing, sealer)


def _delivery(one: Asked, signing: CallbackSigner, sealer: Sealer) -> Delivery:
    body = _body(one)
    digest = payload_digest(signing.token(one.attempt_id), body)
    return Delivery(
        attempt_id=one.attempt_id,
        kind=RESULT,
        digest=digest,
        payload=sealer.seal(body, delivery_place(one.attempt_id, RESULT, digest)),
        address="127.0.0.1",
        received_at=datetime.now(UTC),
    )


def _body(one: Asked) -> bytes:
    before, between, after = _AROUND
    return before + one.originator.encode() + between + one.conversation.encode() + after


_AROUND: Final = result_around()
