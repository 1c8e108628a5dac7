"""What the verbs of the worker work with, made once a process and after the fork."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

import redis
from kombu.exceptions import OperationalError

from mpesa_balance import contract
from mpesa_balance.database import Database
from mpesa_balance.settings import WorkerSettings
from worker.daraja import Daraja
from worker.tokens import Tokens

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Settings, Postgres, Daraja, tokens, and the bell that tells a worker to submit a query."""

    settings: WorkerSettings
    database: Database
    daraja: Daraja
    tokens: Tokens
    ring: Callable[[UUID], None]


def build(settings: WorkerSettings, ring: Callable[[UUID], None]) -> House:
    """A house that has connected to nothing yet."""
    database = Database(settings.database, "mpesa-balance-worker")
    daraja = Daraja(settings.daraja_timeout)
    store = redis.Redis.from_url(
        settings.broker.broker_url,
        # Tokens can be minted again; a Redis that says nothing must not hold a task.
        socket_timeout=2,
        socket_connect_timeout=2,
    )
    tokens = Tokens(store, database, daraja.mint, margin=settings.token_margin)
    return House(settings=settings, database=database, daraja=daraja, tokens=tokens, ring=ring)


def house() -> House:
    """This process's house."""
    return _house_of(os.getpid())


@lru_cache(maxsize=1)
def _house_of(process: int) -> House:
    # The process is the key, so that a forked child never uses its parent's connections.
    from worker.app import SETTINGS

    return build(SETTINGS, ring_submission)


def ring_submission(query_id: UUID) -> None:
    """Tell a worker to submit a query. Losing this message is harmless: the sweeper rings again."""
    from worker.app import app

    try:
        app.send_task(contract.SUBMIT_QUERY, kwargs={"query_id": str(query_id)})
    except OperationalError as error:
        logger.warning("query %s was not rung, the sweeper will: %s", query_id, error)
