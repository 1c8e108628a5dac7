"""What Daraja said is recorded: one transaction a callback, in any order, any number of times."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mpesa_balance import inbox, judgement
from mpesa_balance.database import Connection
from mpesa_balance.deliveries import Delivery
from worker.house import House

logger = logging.getLogger(__name__)


def record(house: House, messages: Sequence[Mapping[str, Any]]) -> None:
    """Record each delivery and make the move that follows from it."""
    for message in messages:
        with house.database.transaction() as connection:
            _record_one(connection, house, Delivery.read(message))


def _record_one(connection: Connection, house: House, delivery: Delivery) -> None:
    kept = inbox.record(connection, delivery)
    if kept.disposition is not None:
        logger.info("callback %s came again", kept.id)
        return
    verdict = judgement.judge(connection, house.database.sealer, kept, house.settings.retries)
    logger.info("callback %s of query %s: %s", kept.id, verdict.query_id, verdict.disposition)
