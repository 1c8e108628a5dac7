"""Envelopes: what is no message of Celery's is dropped before it can end the worker, again and again."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from celery.worker.consumer import Consumer
from kombu.exceptions import ContentDisallowed, DecodeError

from mpesa_balance import logs
from worker import stopping

logger = logs.get_logger(__name__)


class GuardedConsumer(Consumer):
    """Takes messages as Celery does, which ends at one that it cannot read and puts it back."""

    def close(self) -> None:
        """The worker ends; Celery asks this of its consumer before anything else is closed."""
        stopping.settle(self.pool)

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], None]:
        """Celery's handler behind a look at the envelope."""
        handle = super().create_task_handler(*arguments, **options)
        connection_errors = self.app.connection_for_read().connection_errors

        def on_task_received(message: Any) -> None:
            if flaws := _flaws(message):
                logger.error("message_dropped", unreadable=flaws)
                # kombu writes sentences.
                message.reject_log_error(logging.getLogger(__name__), connection_errors)
                return
            handle(message)

        return on_task_received


def _flaws(message: Any) -> list[str]:
    """What of an envelope Celery would stumble over; it does so itself, and safely, over all else."""
    headers: Mapping[str, Any] = message.headers
    if "task" not in headers:
        # Its form of ten years ago has none, and nobody who writes to these queues speaks it.
        return ["headers"]
    flaws = [name for name, fits in _FITS.items() if not fits(headers.get(name))]
    try:
        payload = message.payload
    except (DecodeError, ContentDisallowed):
        return flaws
    return flaws if _is_body(payload) else [*flaws, "body"]


def _is_body(payload: Any) -> bool:
    if not isinstance(payload, list) or len(payload) != 3:
        return False
    args, kwargs, embedded = payload
    return isinstance(args, list) and isinstance(kwargs, dict) and isinstance(embedded, dict | None)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return isinstance(value, str | None)


def _are_limits(value: Any) -> bool:
    if value is None:
        return True
    is_pair = isinstance(value, list) and len(value) == 2
    return is_pair and all(one is None or _is_limit(one) for one in value)


def _is_limit(value: Any) -> bool:
    # More than a day is more than the timers of a worker take.
    return isinstance(value, int | float) and 0 <= value <= 86_400


_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "task": _is_text,
    "id": _is_text,
    "root_id": _is_text_or_none,
    "parent_id": _is_text_or_none,
    "group": _is_text_or_none,
    "timelimit": _are_limits,
    "retries": lambda value: isinstance(value, int | None),
    "stamped_headers": lambda value: (
        value is None or (isinstance(value, list) and all(map(_is_text, value)))
    ),
    "stamps": lambda value: isinstance(value, dict | None),
}
