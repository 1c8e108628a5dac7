"""Callers' own tasks are told how their requests ended: at least once, in the order in which they ended."""

from typing import Any, Final
from uuid import UUID

from mpesa_balance import audit, history, logs, replies
from mpesa_balance.audit import Action
from mpesa_balance.contract import EVENT_VERSION, TRACE_PARENT
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.database import Connection
from mpesa_balance.errors import BrokerUnavailable, SealBroken
from mpesa_balance.replies import REFUSED, Reply
from worker import metrics
from worker.house import House
from worker.tracing import Place

logger = logs.get_logger(__name__)

_BATCH: Final = 100


def send_due(house: House) -> None:
    """Send whatever is due; what the broker does not take, or nobody here can open, is put off."""
    while _send_batch(house):
        pass


def _send_batch(house: House) -> bool:
    """Whether there may be more to send."""
    with house.database.transaction() as connection:
        due = replies.take(connection, _BATCH)
        done: list[UUID] = []
        put_off = 0
        # A queue that takes nothing holds up no other.
        refused: set[str] = set()
        for reply in due:
            if reply.queue not in refused:
                try:
                    _send(house, connection, reply)
                    done.append(reply.id)
                    continue
                except BrokerUnavailable as error:
                    refused.add(reply.queue)
                    _warn(reply, error)
                except SealBroken as error:
                    _warn(reply, error)
            replies.put_off(connection, reply.id)
            put_off += 1
            if len(refused) > 1 and not done:
                # It is the broker, and not its queues.
                break
        if done:
            replies.sent(connection, done)
            crash_at(CrashPoint.REPLIES_NOT_COMMITTED)
    metrics.replied(len(done), put_off)
    return len(due) == _BATCH and (bool(done) or not refused)


def _warn(reply: Reply, error: BrokerUnavailable | SealBroken) -> None:
    logger.warning(
        "reply_put_off",
        reply_id=reply.id,
        request_id=reply.request_id,
        queue=reply.queue,
        reason=str(error),
    )


def _send(house: House, connection: Connection, reply: Reply) -> None:
    answer = history.of_request(connection, house.database.sealer, reply.request_id)
    if answer is None or (answer.state or REFUSED) != reply.state:
        # It has ended otherwise since, and that is told by a reply of its own.
        return
    document: dict[str, Any] = answer.document()
    if not reply.include_accounts:
        del document["accounts"]
    event = document | {
        "version": EVENT_VERSION,
        "event_id": str(reply.id),
        "idempotency_key": reply.idempotency_key,
        "state": reply.state,
    }
    # What the broker does not take was not looked at either.
    with connection.transaction():
        if reply.include_accounts:
            audit.look(connection, f"queue:{reply.queue}", Action.REPLY_SENT, answer)
        house.bells.tell(reply.task, reply.queue, event, _headers(reply))


def _headers(reply: Reply) -> dict[str, str]:
    """What lets the caller's own task go on with the trace of its request."""
    return (
        {TRACE_PARENT: Place.of(reply.request_id, reply.trace_parent).header} if reply.trace_parent else {}
    )
