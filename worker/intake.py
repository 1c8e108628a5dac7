"""What callers ask becomes requests and queries, or a recorded refusal."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from structlog.contextvars import bound_contextvars

from mpesa_balance import balance_requests, contract, logs, replies, shortcodes
from mpesa_balance.balance_requests import Answer
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.database import Connection
from mpesa_balance.errors import RequestRefused
from mpesa_balance.shortcodes import Askable
from worker import endings, lines, metrics, tracing
from worker.house import House

logger = logs.get_logger(__name__)

#: What of an ask says who waits for it, whatever else is wrong with it.
_ADDRESS: Final = ("shortcode", "idempotency_key", "requested_by", "reply_to", "include_accounts")

#: A refusal repeats the names of unknown arguments, which a stranger may have made long.
_LONGEST_REFUSAL = 2000


def open_request(
    house: House,
    task_id: str,
    message: Mapping[str, Any],
    unnamed: Sequence[Any] = (),
    trace_parent: str | None = None,
) -> None:
    """Find or open the query that answers `message`; refuse it, on record, otherwise."""
    try:
        # Positional arguments have no names, so they are none of those that a request takes.
        ask = BalanceAsk.read({**message, **{f"argument {n}": None for n in range(len(unnamed))}})
    except RequestRefused as refused:
        refuse(house, task_id, message, refused)
        return
    request_id = contract.request_id(ask, task_id)
    with bound_contextvars(request_id=request_id, shortcode=ask.shortcode):
        _open(house, request_id, ask, trace_parent)


def _open(house: House, request_id: UUID, ask: BalanceAsk, trace_parent: str | None) -> None:
    try:
        with house.database.transaction() as connection:
            given = answer(connection, house, request_id, ask, trace_parent)
            crash_at(CrashPoint.REQUEST_NOT_COMMITTED)
    except RequestRefused as refused:
        _refuse(house, request_id, ask.shortcode, refused, ask)
        return
    if given is not None:
        logger.info("request_answered", answered_by=given.answered_by, query_id=given.query_id)
        go_on(house, request_id, given)


def refuse(house: House, task_id: str, message: Mapping[str, Any], refused: RequestRefused) -> None:
    """Record why what was asked cannot be done, and whom that concerns, as far as it can be read."""
    for known in (message, {name: message[name] for name in _ADDRESS if name in message}):
        with suppress(RequestRefused):
            ask = BalanceAsk.read(known)
            _refuse(house, contract.request_id(ask, task_id), ask.shortcode, refused, ask)
            return
    # An ask that cannot be read has no key that could be trusted, so its task is its name.
    _refuse(house, contract.id_of_task(task_id), message.get("shortcode"), refused)


def answer(
    connection: Connection,
    house: House,
    request_id: UUID,
    ask: BalanceAsk,
    trace_parent: str | None = None,
    slack: int = 0,
) -> Answer | None:
    """The query that answers a request; None where it has one already. Raises RequestRefused.

    slack: by so many seconds the minimum interval may be undercut.
    """
    entry = shortcodes.askable(connection, ask.shortcode, gate=True)
    interval = max(house.settings.minimum_interval - slack, 0)
    found = balance_requests.find(connection, request_id, ask, interval)
    if found.is_answered:
        return None
    given = found.answer
    if given is None or not given.is_at_hand:
        admitted = _admitted(house, ask, entry)
        given = given or balance_requests.new_answer(admitted.app)
    deadline = house.settings.query_deadline
    is_new = balance_requests.record(connection, request_id, ask, given, deadline, trace_parent)
    if is_new and given.is_at_hand:
        replies.add_for_request(connection, request_id)
    return given if is_new else None


def _admitted(house: House, ask: BalanceAsk, entry: Askable | None) -> Askable:
    base_url = house.settings.callback_base_url
    wrong = entry.refusals(base_url) if entry else [shortcodes.unregistered(ask.shortcode)]
    if entry is None or wrong:
        raise RequestRefused(wrong)
    return entry


def go_on(house: House, request_id: UUID, given: Answer) -> None:
    """What follows from an answer once it is committed."""
    observe(request_id, given)
    if given.app is not None:
        crash_at(CrashPoint.REQUEST_NOT_RUNG)
        lines.ring(house, given.app, given.query_id)
    else:
        endings.follow(house)


def observe(request_id: UUID, given: Answer) -> None:
    """Count an answer that is committed, and have its trace told where it has ended with it."""
    metrics.requested(given.answered_by)
    if given.is_at_hand:
        tracing.answered(request_id)


def record_refusal(
    connection: Connection,
    request_id: UUID,
    shortcode: str | None,
    refused: RequestRefused,
    ask: BalanceAsk | None,
) -> bool:
    """Record why a request cannot be done, and that its caller is to be told; False where it was before."""
    reason = str(refused)[:_LONGEST_REFUSAL]
    is_new = balance_requests.refuse(connection, request_id, shortcode, reason, ask)
    if is_new:
        replies.add_for_request(connection, request_id)
    return is_new


def _refuse(
    house: House, request_id: UUID, shortcode: Any, refused: RequestRefused, ask: BalanceAsk | None = None
) -> None:
    named = shortcode[:40] if isinstance(shortcode, str) and shortcode.isprintable() else None
    with house.database.transaction() as connection:
        is_new = record_refusal(connection, request_id, named, refused, ask)
    if is_new:
        metrics.requested(replies.REFUSED)
        logger.warning("request_refused", request_id=request_id, shortcode=named, reason=str(refused))
        endings.follow(house)
