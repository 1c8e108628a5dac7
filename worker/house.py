"""What the verbs of the worker work with, made once a process and after the fork."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mpesa_balance import beginnings
from mpesa_balance.database import Database
from mpesa_balance.happenings import Happening, RepliesAdded
from mpesa_balance.settings import WorkerSettings
from worker import metrics, tracing
from worker.bells import Bells
from worker.daraja import Daraja
from worker.receipts import Receipts
from worker.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Settings, Postgres, Redis, Daraja, tokens, receipts, and the bells that call workers."""

    settings: WorkerSettings
    database: Database
    daraja: Daraja
    tokens: Tokens
    store: redis.Redis
    receipts: Receipts
    bells: Bells
    #: Daraja is asked in these, as often as attempts begin together.
    senders: ThreadPoolExecutor
    #: Set where callers' own tasks are to be told something.
    replies_due: threading.Event


def build(settings: WorkerSettings, bells: Bells) -> House:
    """A house that has connected to nothing yet."""
    replies_due = threading.Event()
    database = Database(settings.database, "mpesa-balance-worker", partial(_happened, replies_due))
    daraja = Daraja(settings.daraja_timeout)
    store = redis.Redis.from_url(
        settings.broker.broker_url,
        # Tokens can be minted again; a Redis that says nothing must not hold a task.
        socket_timeout=2,
        socket_connect_timeout=2,
        # Once more, for a connection that the server has closed meanwhile.
        retry=Retry(NoBackoff(), 1),
    )
    tokens = Tokens(store, database, daraja.mint, margin=settings.token_margin)
    return House(
        settings=settings,
        database=database,
        daraja=daraja,
        tokens=tokens,
        store=store,
        receipts=Receipts(store),
        bells=bells,
        senders=ThreadPoolExecutor(beginnings.TOGETHER, "sender"),
        replies_due=replies_due,
    )


def _happened(replies_due: threading.Event, one: Happening) -> None:
    if isinstance(one, RepliesAdded):
        replies_due.set()
    metrics.happened(one)
    tracing.happened(one)


def house() -> House:
    """This process's house."""
    return _house_of(os.getpid())


@lru_cache(maxsize=1)
def _house_of(process: int) -> House:
    # The process is the key, so that a forked child never uses its parent's connections.
    from worker.app import SETTINGS

    return build(SETTINGS, Bells())
