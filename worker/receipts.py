"""Receipts: the worker tells a spool which of its callbacks Postgres has."""

import re
from collections.abc import Sequence
from typing import Final

import redis

from mpesa_balance import logs
from mpesa_balance.contract import RECEIPTS

logger = logs.get_logger(__name__)

#: Receipts that nobody collects belong to a spool that is gone. In seconds.
_KEPT_FOR: Final = 3600

_SPOOL_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Receipts:
    """Leaves receipts in Redis. One that is lost costs a repetition, so no fault of Redis leaves here."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store

    def send(self, spool: str, numbers: Sequence[int]) -> None:
        """Tell `spool` that these numbers are committed."""
        if not _SPOOL_ID.fullmatch(spool):
            logger.warning("receipt_not_sent", spool=spool[:40], reason="what it is for is no spool")
            return
        try:
            with self._store.pipeline(transaction=False) as pipeline:
                pipeline.rpush(RECEIPTS + spool, *numbers)
                pipeline.expire(RECEIPTS + spool, _KEPT_FOR)
                pipeline.execute()
        except redis.RedisError as error:
            logger.warning("receipt_lost", reason=f"{error}; its callbacks will come again")
