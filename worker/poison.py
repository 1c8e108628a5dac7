"""Poison: a task that ends its process again and again is set aside, and holds up no other."""

import base64
from typing import Any, Final

from billiard.einfo import ExceptionInfo
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Task
from celery.exceptions import Reject
from celery.worker import state
from celery.worker.request import Request
from kombu.exceptions import OperationalError
from kombu.utils import json

from mpesa_balance import contract, logs

logger = logs.get_logger(__name__)

#: How often a task may end its process before it is quarantined.
MOST_DEATHS: Final = 3

#: The message header that counts them.
DEATHS: Final = "deaths"

#: How soon it is tried again, in seconds.
_AGAIN_AFTER: Final = 5


class GuardedRequest(Request):
    """A task as the worker's main process sees it, which outlives the process that runs the task."""

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> None:
        """Count the end of a process; everything else is Celery's to handle."""
        if not getattr(self.task, "retry_on_worker_lost", False) or not self._has_died(exc_info):
            super().on_failure(exc_info, send_failed_event, return_ok)
            return
        if state.should_stop is not None or state.should_terminate is not None:
            # Its process was told to stop, as we were.
            self.reject(requeue=True)
            return
        told = str(self.request_dict.get(DEATHS))
        deaths = int(told) + 1 if told.isdecimal() else 1
        try:
            self._set_aside(deaths) if deaths >= MOST_DEATHS else self._try_again(deaths)
        except OperationalError as error:
            logger.warning("task_returned_to_broker", task=self.name, task_id=self.id, reason=str(error))
            self.reject(requeue=True)
        else:
            self.acknowledge()

    def _has_died(self, exc_info: ExceptionInfo) -> bool:
        # Some come wrapped with their traceback.
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        # Billiard tells of a child that exited by itself before it tells of its loss.
        ended = isinstance(error, (WorkerLostError, TimeLimitExceeded, SystemExit))
        # A process that Celery itself ended leaves its message to the broker.
        is_ours = getattr(self, "_already_cancelled", False) or getattr(self, "_already_revoked", False)
        return ended and not is_ours

    def _try_again(self, deaths: int) -> None:
        logger.error(
            "task_ended_its_process", task=self.name, task_id=self.id, deaths=deaths, most=MOST_DEATHS
        )
        self.task.apply_async(
            self.args,
            self.kwargs,
            task_id=self.id,
            countdown=_AGAIN_AFTER,
            headers={DEATHS: str(deaths)},
            # The type stubs do not know it.
            kwargsrepr=self.kwargsrepr,  # type: ignore[call-arg]
        )

    def _set_aside(self, deaths: int) -> None:
        reason = f"it has ended its process {deaths} times"
        logger.error("task_quarantined", task=self.name, task_id=self.id, reason=reason)
        # kombu's own form takes back whatever kombu has made of a stranger's arguments.
        message = json.dumps({"args": self.args, "kwargs": self.kwargs})
        self.task.app.send_task(
            contract.QUARANTINE,
            kwargs={
                "task": self.name,
                "task_id": self.id,
                "message": base64.b64encode(message.encode()).decode(),
                "reason": reason,
            },
        )


class GuardedTask(Task[Any, Any]):
    """What every task of the house is."""

    Request = "worker.poison:GuardedRequest"

    def retry(self, *arguments: Any, **options: Any) -> Any:
        """The task again, later; where the broker does not take that message, this one stays with it."""
        try:
            return super().retry(*arguments, **options)
        except Reject as error:
            # Celery would throw away what the broker alone may keep.
            because = error.args[0]
            logger.warning("task_not_sent_again", task=self.name, reason=str(because))
            raise Reject(because, requeue=True) from error

    def signature_from_request(self, request: Any = None, *arguments: Any, **options: Any) -> Any:
        """The task once more; what Flower shows of its arguments stays what its sender chose."""
        shown = (self.request if request is None else request).get("kwargsrepr")
        return super().signature_from_request(request, *arguments, kwargsrepr=shown, **options)
