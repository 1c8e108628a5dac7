"""A caller looks at its request: the answer goes over a channel of Redis, and is stored nowhere there."""

import json
from uuid import UUID

import redis

from mpesa_balance import audit, history, logs
from mpesa_balance.answers import BalanceAnswer
from mpesa_balance.audit import Action
from mpesa_balance.contract import is_answers_channel
from worker.house import House

logger = logs.get_logger(__name__)


def answer(house: House, request_id: str, channel: str, requested_by: str | None = None) -> None:
    """Tell whoever listens on `channel` how the request stands. Nobody listening is no fault."""
    if not is_answers_channel(channel) or not _is_uuid(request_id):
        logger.warning("lookup_dropped", reason="its request_id or its channel has not the form of one")
        return
    with house.database.transaction() as connection:
        found = history.of_request(connection, house.database.sealer, UUID(request_id))
        if found is not None:
            audit.look(connection, _name(requested_by), Action.ANSWER_FETCHED, found)
    document = (found or BalanceAnswer(request_id=UUID(request_id))).document()
    try:
        house.store.publish(channel, json.dumps(document))
    except redis.RedisError as error:
        logger.warning(
            "answer_not_told", request_id=request_id, reason=f"{error}; its caller will ask again"
        )


def _name(requested_by: object) -> str:
    """Who looks, as the message says; it may say anything."""
    is_name = isinstance(requested_by, str) and requested_by.strip()
    return str(requested_by) if is_name else audit.UNNAMED_CALLER


def _is_uuid(text: object) -> bool:
    try:
        UUID(text if isinstance(text, str) else "")
    except ValueError:
        return False
    return True
