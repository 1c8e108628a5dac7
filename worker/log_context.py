"""What every line of a task says of it: its name, its id, and the subject that its arguments name."""

from collections.abc import Mapping
from typing import Any, Final

from celery import signals
from structlog.contextvars import bind_contextvars, clear_contextvars

#: The arguments that name a subject.
_SUBJECTS: Final = ("query_id", "callback_id", "request_id")

#: The longest name of a subject is a UUID; a stranger may have sent anything.
_LONGEST: Final = 40


def install() -> None:
    """Bind for each task of this process and its children, and let nothing of it into the next one."""
    signals.task_prerun.connect(_begin, weak=False)
    signals.task_postrun.connect(_end, weak=False)


def _begin(task_id: str, task: Any, kwargs: Mapping[str, Any], **_: Any) -> None:
    clear_contextvars()
    subjects = {name: kwargs[name] for name in _SUBJECTS if _is_name(kwargs.get(name))}
    bind_contextvars(task=task.name, task_id=task_id, **subjects)


def _end(**_: Any) -> None:
    # Also what fails is told before this: Celery's line with the traceback names the query.
    clear_contextvars()


def _is_name(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and len(value) <= _LONGEST)
