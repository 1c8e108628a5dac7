"""The bells: messages that tell a worker that something waits in Postgres. Losing one is harmless."""

import logging
from typing import Any
from uuid import UUID

from kombu.exceptions import OperationalError

from mpesa_balance import contract
from mpesa_balance.inbox import RING_AGAIN_AFTER

logger = logging.getLogger(__name__)


class Bells:
    """Rings over the broker; what was not heard, the sweeper rings for again."""

    def submit(self, query_id: UUID) -> None:
        """Somebody is in the line of this query's app."""
        self._ring(contract.SUBMIT_QUERY, query_id=str(query_id))

    def judge(self, callback_id: int) -> None:
        """A callback waits for its judgement."""
        # By then the sweeper has rung again.
        self._ring(contract.JUDGE_CALLBACK, expires=RING_AGAIN_AFTER, callback_id=callback_id)

    def _ring(self, task: str, expires: int | None = None, **subject: Any) -> None:
        from worker.app import app

        try:
            app.send_task(task, kwargs=subject, expires=expires)
        except OperationalError as error:
            logger.warning("%s %s was not rung, the sweeper will: %s", task, subject, error)
