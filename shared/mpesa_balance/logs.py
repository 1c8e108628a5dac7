"""Logging of every program: one event a line, to standard error, as JSON or for a terminal.

logger = logs.get_logger(__name__)
with structlog.contextvars.bound_contextvars(query_id=query_id):
    logger.warning("query_not_submitted", reason=str(error))

An event's name is constant and in snake_case; what differs is in its fields, and a sentence for people
in `message` (what to do) or `reason` (what went wrong).
"""

import logging
import sys
import threading
from typing import Any, Final, TextIO

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from mpesa_balance.masking import masked

#: What LOG_FORMAT may be; `auto` is `console` where standard error is a terminal, else `json`.
AUTO: Final = "auto"
JSON: Final = "json"
CONSOLE: Final = "console"

#: The event of every line that a library wrote; its own words are in `message`.
LIBRARY_RECORD: Final = "library_record"

#: These tell at INFO what our own lines tell better, several times for each task or request.
_CHATTY: Final = ("celery.app.trace", "celery.worker.strategy", "celery.beat", "yoyo", "urllib3", "authlib")

#: What a line begins with.
_FIRST: Final = ("timestamp", "level", "event", "logger", "query_id")

_ADDED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
)

# Done as soon as anybody can have a logger: events are records of the standard library from then on,
# whether or not a program configures where they go.
structlog.configure(
    processors=[structlog.stdlib.filter_by_level, *_ADDED, ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=BoundLogger,
    cache_logger_on_first_use=True,
)


def get_logger(name: str) -> BoundLogger:
    """The logger of a module: `logs.get_logger(__name__)`."""
    logger: BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure(level: str, log_format: str = AUTO) -> None:
    """Configure logging once; `level` says how much is told, `log_format` is AUTO, JSON or CONSOLE."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(log_format))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _tell_of_the_end
    # A program may have its own, which ends it.
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _tell_of_a_thread


def resolved(log_format: str, stream: TextIO) -> str:
    """JSON or CONSOLE: the format of lines that are read on `stream`."""
    if log_format != AUTO:
        return log_format
    return CONSOLE if stream.isatty() else JSON


def formatter(log_format: str = AUTO) -> logging.Formatter:
    """Renders events of ours and records of libraries alike; tracebacks are a field of their line."""
    is_json = resolved(log_format, sys.stderr) == JSON
    # A library's words are no name of an event; for people they stand where the name would.
    foreign = (*_ADDED, _as_library_record) if is_json else _ADDED
    return ProcessorFormatter(
        foreign_pre_chain=foreign,
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Plain tracebacks: other renderers show the variables of each frame, secrets and all.
            structlog.processors.format_exc_info,
            _masked,
            *(_json_renderer() if is_json else _console_renderer()),
        ],
    )


def _json_renderer() -> tuple[Processor, ...]:
    return (_ordered, structlog.processors.JSONRenderer())


def _console_renderer() -> tuple[Processor, ...]:
    return (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
    )


def _as_library_record(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {**event, "event": LIBRARY_RECORD, "message": event["event"]}


def _masked(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    masked_event: EventDict = masked(event)
    return masked_event


def _ordered(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: event[name] for name in _FIRST if name in event} | {**event}


def _tell_of_the_end(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """What ends a program is a line of its log as well."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    get_logger(__name__).critical("program_failed", exc_info=(kind, error, trace))


def _tell_of_a_thread(failed: threading.ExceptHookArgs) -> None:
    if issubclass(failed.exc_type, SystemExit):
        return
    exc_info = (failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    name = failed.thread.name if failed.thread else None
    get_logger(__name__).error("thread_failed", thread=name, exc_info=exc_info)
