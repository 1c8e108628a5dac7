"""The bells: messages that say that something is in Postgres. What is lost is rung or sent again."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from mpesa_balance import contract, logs
from mpesa_balance.errors import BrokerUnavailable
from mpesa_balance.inbox import RING_AGAIN_AFTER

logger = logs.get_logger(__name__)


class Bells:
    """Rings over the broker; what was not heard, the sweeper rings for again."""

    def submit(self, query_id: UUID) -> None:
        """Somebody is in the line of this query's app."""
        self._ring(contract.SUBMIT_QUERY, query_id=str(query_id))

    def judge(self, callback_id: int) -> None:
        """A callback waits for its judgement."""
        # By then the sweeper has rung again.
        self._ring(contract.JUDGE_CALLBACK, expires=RING_AGAIN_AFTER, callback_id=callback_id)

    def tell(self, task: str, queue: str, event: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Send a caller's own task an event. Raises BrokerUnavailable: nobody rings for that again soon."""
        from worker.app import app

        try:
            app.send_task(
                task,
                kwargs={"event": dict(event)},
                queue=Queue(queue, Exchange(queue, type="direct"), routing_key=queue),  # type: ignore[arg-type]
                # Theirs to declare; the message goes to it by its name.
                declare=(),
                # What Flower and logs show of it.
                headers=dict(headers),
                kwargsrepr=f"<event {event['event_id']} of request {event['request_id']}>",
            )
        except OperationalError as error:
            raise BrokerUnavailable(f"the broker cannot be used now: {error}") from error

    def _ring(self, task: str, expires: int | None = None, **subject: Any) -> None:
        from worker.app import app

        try:
            app.send_task(task, kwargs=subject, expires=expires)
        except OperationalError as error:
            logger.warning(
                "bell_not_rung", bell=task, **subject, reason=f"{error}; the sweeper rings again"
            )
