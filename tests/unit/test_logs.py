"""Log lines: what each says, what none says, and that what one task binds is in no line of another."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import Celery
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

from mpesa_balance import logs
from worker import log_context

logger = logs.get_logger("tests.logs")

SECRETS = {
    "initiator_password": "hunter2",
    "access_token": "hunter2",
    "consumer-secret": "hunter2",
    "SecurityCredential": "hunter2",
    "Authorization": "hunter2",
    "sealing_keys": "hunter2",
    "accounts": [{"current": "46713.00"}],
    "available": "46713.00",
    "raw_balance": "Working Account|KES|46713.00",
    "amount": 46713,
}


@contextmanager
def told(log_format: str) -> Iterator[io.StringIO]:
    """What is written meanwhile."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    handler.setFormatter(logs.formatter(log_format))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def fail(why: str, hidden: str = "") -> None:
    """Its variables are in no traceback."""
    raise ConnectionError(why)


def documents(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_of_json_names_the_event_its_instant_its_level_its_logger_and_its_query() -> None:
    query_id = uuid4()
    with told("json") as stream, bound_contextvars(query_id=query_id):
        logger.warning(
            "query_timed_out", attempts=3, at=datetime.fromisoformat("2026-11-22T17:00:00+03:00")
        )
    (line,) = documents(stream)
    instant = line.pop("timestamp")
    assert instant.endswith("Z")
    assert datetime.fromisoformat(instant).tzinfo is not None
    assert line == {
        "level": "warning",
        "event": "query_timed_out",
        "logger": "tests.logs",
        "query_id": str(query_id),
        "attempts": 3,
        "at": "2026-11-22T14:00:00Z",
    }


def test_what_is_bound_for_one_query_is_in_no_line_of_another() -> None:
    both_bound = Barrier(2)

    def work_on(query_id: UUID) -> None:
        with bound_contextvars(query_id=query_id):
            both_bound.wait(timeout=10)
            logger.info("query_acknowledged", own=query_id)

    with told("json") as stream, ThreadPoolExecutor(2) as threads:
        list(threads.map(work_on, (uuid4(), uuid4())))
        # The same threads, with nothing bound.
        list(threads.map(lambda _: logger.info("nothing_due"), range(4)))
    lines = documents(stream)
    acknowledged = [line for line in lines if line["event"] == "query_acknowledged"]
    assert len({line["query_id"] for line in acknowledged}) == 2
    assert all(line["query_id"] == line["own"] for line in acknowledged)
    assert not [line for line in lines if line["event"] == "nothing_due" and "query_id" in line]


def test_a_task_names_its_subject_also_where_it_fails_and_leaves_nothing_to_the_next() -> None:
    log_context.install()
    with Celery(broker="memory://", set_as_current=False) as app:

        @app.task(name="fails")
        def fails(*, query_id: str) -> None:
            bind_contextvars(attempt_id="a")
            fail("away")

        @app.task(name="works")
        def works(*, request_id: Any) -> None:
            logger.info("request_answered")

        with told("json") as stream:
            fails.apply(kwargs={"query_id": "q"})
            works.apply(kwargs={"request_id": {"from": "a stranger"}})
    # Celery tells of its successes only where nobody has muted it.
    failed, answered, *_ = documents(stream)
    assert (failed["event"], failed["task"], failed["query_id"]) == ("library_record", "fails", "q")
    assert "ConnectionError: away" in failed["exception"]
    assert (answered["event"], answered["task"]) == ("request_answered", "works")
    assert not answered.keys() & {"query_id", "attempt_id", "request_id"}
    assert get_contextvars() == {}


def test_what_a_library_tells_is_json_too_with_its_traceback_in_the_same_line() -> None:
    with told("json") as stream:
        try:
            fail("redis://house:hunter2@redis:6379/0 is away")
        except ConnectionError:
            logging.getLogger("celery.worker").exception("Cannot connect to %s", "redis://x:hunter2@redis")
    (line,) = documents(stream)
    assert (line["event"], line["logger"], line["level"]) == (logs.LIBRARY_RECORD, "celery.worker", "error")
    assert line["message"] == "Cannot connect to redis://x:***@redis"
    assert line["exception"].startswith("Traceback")
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_values_under_telling_names_are_masked_at_any_depth(log_format: str) -> None:
    with told(log_format) as stream:
        logger.info("settings_read", **SECRETS, nested={"found": [SECRETS]}, shown="as it is")
        try:
            fail("wrong", hidden=SECRETS["access_token"])
        except ConnectionError:
            logger.exception("settings_wrong")
        logger.info("sent", header="Bearer abcdefghijklmnop", url=f"/callbacks/balance/{'0' * 64}/result")
    written = stream.getvalue()
    assert "as it is" in written
    for word in ("hunter2", "46713", "abcdefghijklmnop", "0" * 64):
        assert word not in written
    assert written.count("***") == 2 * len(SECRETS) + 2


def test_a_terminal_shows_one_line_an_event_and_a_traceback_below_it() -> None:
    with told("console") as stream, bound_contextvars(query_id=uuid4()):
        logger.warning("query_not_submitted", reason="the slot is too far off")
        logging.getLogger("celery.worker").warning("Connected to %s", "redis://redis")
        try:
            fail("away")
        except ConnectionError:
            logger.exception("view_failed")
    first, second, third, *trace = stream.getvalue().splitlines()
    assert "query_not_submitted" in first
    assert "reason='the slot is too far off'" in first
    assert "query_id=" in first
    assert "Connected to redis://redis" in second
    assert "view_failed" in third
    assert trace[-1] == "ConnectionError: away"


def test_the_format_follows_the_stream_unless_it_is_set() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert [logs.resolved("auto", stream) for stream in (Terminal(), io.StringIO())] == ["console", "json"]
    assert [logs.resolved(given, Terminal()) for given in ("json", "console")] == ["json", "console"]


def test_everything_that_a_program_writes_to_its_log_is_json_until_its_end() -> None:
    code = (
        "import threading, warnings\nfrom mpesa_balance import logs\n"
        "logs.configure('INFO')\nlogs.get_logger('x').debug('not_told')\n"
        "warnings.warn('careful')\n"
        "thread = threading.Thread(target=lambda: 1 / 0, name='watch')\nthread.start()\nthread.join()\n"
        "raise ValueError('over')\n"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == [logs.LIBRARY_RECORD, "thread_failed", "program_failed"]
    assert "careful" in lines[0]["message"]
    assert lines[1]["thread"] == "watch"
    assert "ZeroDivisionError" in lines[1]["exception"]
    assert lines[2]["exception"].endswith("ValueError: over")
    assert done.returncode == 1
