"""Logging of every program: one line an event, to standard error, instants in UTC."""

import logging
import time
from typing import Final

_FORMAT: Final = "%(asctime)sZ %(levelname)s %(name)s %(message)s"

#: These tell at INFO what our own lines tell better, several times for each task or request.
_CHATTY: Final = ("celery.app.trace", "celery.worker.strategy", "celery.beat", "yoyo", "urllib3")


def configure(level: str) -> None:
    """Configure logging once; `level` says how much is told."""
    formatter = logging.Formatter(_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
