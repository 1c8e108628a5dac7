"""What callers ask becomes requests and queries, or a recorded refusal."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from mpesa_balance import contract, queries, shortcodes
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.database import Connection
from mpesa_balance.errors import RequestRefused
from worker.house import House

logger = logging.getLogger(__name__)

#: A refusal repeats the names of unknown arguments, which a stranger may have made long.
_LONGEST_REFUSAL = 2000


def open_request(
    house: House, task_id: str, message: Mapping[str, Any], unnamed: Sequence[Any] = ()
) -> None:
    """Open a query for `message` and ring for its submission; refuse it, on record, otherwise."""
    try:
        # Positional arguments have no names, so they are none of those that a request takes.
        ask = BalanceAsk.read({**message, **{f"argument {n}": None for n in range(len(unnamed))}})
    except RequestRefused as refused:
        # An ask that cannot be read has no key that could be trusted, so its task is its name.
        _refuse(house, contract.id_of_task(task_id), message.get("shortcode"), refused)
        return
    request_id = contract.request_id(ask, task_id)
    try:
        with house.database.transaction() as connection:
            query_id = _open(connection, house, request_id, ask)
    except RequestRefused as refused:
        _refuse(house, request_id, ask.shortcode, refused)
        return
    if query_id is not None:
        logger.info("request %s opened query %s for %s", request_id, query_id, ask.shortcode)
        house.ring(query_id)


def _open(connection: Connection, house: House, request_id: UUID, ask: BalanceAsk) -> UUID | None:
    wrong = shortcodes.refusals(connection, ask.shortcode, house.settings.callback_base_url)
    if wrong:
        raise RequestRefused(wrong)
    return queries.open_query(connection, request_id, ask, house.settings.query_deadline)


def _refuse(house: House, request_id: UUID, shortcode: Any, refused: RequestRefused) -> None:
    named = shortcode[:40] if isinstance(shortcode, str) and shortcode.isprintable() else None
    with house.database.transaction() as connection:
        is_new = queries.refuse_request(connection, request_id, named, str(refused)[:_LONGEST_REFUSAL])
    if is_new:
        logger.warning("request %s refused: %s", request_id, refused)
