"""What the worker counts: every metric of its processes, and a function for each place of them.

Nothing is made before it is needed: whether the processes of a program count together is decided when a
worker starts, and beat, Flower and the command line import this too. See worker/exposition.py.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from typing import Any, Final

from celery import signals
from prometheus_client import Counter, Histogram

from mpesa_balance import attempts, contract
from mpesa_balance.answers import AnsweredBy
from mpesa_balance.callback_urls import RESULT, TIMEOUT
from mpesa_balance.happenings import CallbackSettled, Happening, QueryMoved
from mpesa_balance.inbox import Disposition
from mpesa_balance.metrics import Metrics
from mpesa_balance.replies import REFUSED
from mpesa_balance.result_codes import TABLE
from mpesa_balance.retention import PARTS
from mpesa_balance.states import OPEN, QueryState

#: Within a process of ours, to Daraja and back, and until somebody else has done something. In seconds.
_MOMENTS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_EXCHANGES: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15)
_WAITS: Final = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)

#: What Daraja may say, of which there must be an end: a code that nobody knows is `other`.
_CODES: Final = frozenset(row.code for row in TABLE if row.code)
_TASKS: Final = frozenset({*contract.QUEUES, contract.CANARY})
NEW: Final = "new"
REPEATED: Final = "repeated"
SENT: Final = "sent"
PUT_OFF: Final = "put_off"
OTHER: Final = "other"
NONE: Final = "none"

#: What may become of a submission, beside what may become of an attempt: a fault of ours kept us from it.
WITHDRAWN: Final = "withdrawn"
SUBMISSIONS: Final = (
    attempts.ACKNOWLEDGED,
    attempts.NOT_TAKEN,
    attempts.REFUSED,
    attempts.UNKNOWN,
    WITHDRAWN,
)


class Counted(Metrics):
    """The metrics of one process."""

    def __init__(self) -> None:
        super().__init__()
        self._make_those_of_queries()
        self._make_those_of_callbacks()
        self._make_those_of_tasks()
        self._begin_at_nothing()

    def _begin_at_nothing(self) -> None:
        """What is not there yet has no rate, so that the first of it would be missed."""
        tasks = (*_TASKS, OTHER)
        first: tuple[tuple[Counter | Histogram, Iterable[tuple[str, ...]]], ...] = (
            (self.requests, product((*AnsweredBy, REFUSED))),
            (self.submissions, product(SUBMISSIONS)),
            (self.states, product(OPEN)),
            (self.ended, product((QueryState.FAILED,), (OTHER,), ("true", "false"))),
            (self.ended, product((QueryState.TIMED_OUT,), (NONE,), ("false",))),
            (self.judged, product((RESULT, TIMEOUT), Disposition)),
            (self.recorded, product((NEW, REPEATED))),
            (self.replies, product((SENT, PUT_OFF))),
            (self.quarantined, product(tasks)),
            (self.tasks, product(tasks, ("failure",))),
            (self.pruned, product(part.table for part in PARTS)),
        )
        for metric, every in first:
            for labels in every:
                metric.labels(*labels)

    def _make_those_of_queries(self) -> None:
        self.requests = self._counter("requests", "Requests by what answers them.", "answered_by")
        self.submissions = self._counter("submissions", "Submissions by their outcome.", "outcome")
        self.ended = self._counter(
            "queries_ended", "Queries that reached an ending.", "state", "code", "late"
        )
        self.states = self._histogram(
            "query_state_duration_seconds", "How long queries were in a state they left.", _WAITS, "state"
        )
        self.exchanges = self._histogram(
            "daraja_request_duration_seconds",
            "HTTP exchanges with Daraja, from connecting to the last byte.",
            _EXCHANGES,
            "operation",
            "status",
        )
        self.turns = self._histogram(
            "rate_limit_wait_seconds", "How long submissions waited for their app's slot.", _MOMENTS
        )
        self.tokens = self._counter("token_requests", "Access tokens asked for.", "app", "outcome")

    def _make_those_of_callbacks(self) -> None:
        self.recorded = self._counter("callbacks_recorded", "Deliveries of callbacks recorded.", "delivery")
        self.judged = self._counter(
            "callbacks_judged", "Callbacks of which something became.", "kind", "disposition"
        )
        self.arrivals = self._histogram(
            "callback_arrival_seconds",
            "From the acknowledgement of a submission until its applied callback was received.",
            _WAITS,
            "kind",
        )
        self.judgements = self._histogram(
            "callback_judgement_delay_seconds", "From receiving a callback until it was judged.", _MOMENTS
        )
        self.replies = self._counter("replies", "Replies to callers' own tasks.", "outcome")

    def _make_those_of_tasks(self) -> None:
        self.tasks = self._histogram(
            "task_duration_seconds", "How long tasks ran.", _MOMENTS, "task", "outcome"
        )
        self.quarantined = self._counter("tasks_quarantined", "Tasks set aside as poison.", "task")
        self.pruned = self._counter("pruned_rows", "Rows removed after they were archived.", "table")
        self.archived = self._counter("archived_bytes", "Bytes of archives.")


@lru_cache(maxsize=1)
def counted() -> Counted:
    """What this process counts."""
    return Counted()


def happened(one: Happening) -> None:
    """Something that a transaction did, which has committed."""
    if isinstance(one, CallbackSettled):
        counted().judged.labels(one.kind, one.disposition).inc()
        counted().judgements.observe(max(one.judged_after, 0))
        if one.arrived_after is not None and one.disposition == Disposition.APPLIED:
            counted().arrivals.labels(one.kind).observe(one.arrived_after)
    elif isinstance(one, QueryMoved):
        _moved(one)


def _moved(one: QueryMoved) -> None:
    counted().states.labels(one.origin).observe(one.seconds)
    if one.is_ending:
        code = NONE if one.code is None else one.code if one.code in _CODES else OTHER
        counted().ended.labels(one.to, code, str(one.late).lower()).inc()


def requested(answered_by: str) -> None:
    """A request was answered, or refused."""
    counted().requests.labels(answered_by).inc()


def submitted(outcome: str) -> None:
    """What came back for a submission was recorded."""
    counted().submissions.labels(outcome).inc()


def waited(seconds: float) -> None:
    """A submission has waited for its slot."""
    counted().turns.observe(seconds)


class Exchange:
    """One exchange with Daraja, to note its status in."""

    status: int | None = None


@contextmanager
def exchange(operation: str) -> Iterator[Exchange]:
    """Take the time of an exchange with Daraja, however it ends."""
    one, began = Exchange(), time.monotonic()
    try:
        yield one
    finally:
        status = f"{one.status // 100}xx" if one.status else NONE
        counted().exchanges.labels(operation, status).observe(time.monotonic() - began)


def minted(app: str, *, is_good: bool) -> None:
    """A token was asked for."""
    # Both are there from the first one on, so that the other's first has a rate.
    minted, failed = (counted().tokens.labels(app, outcome) for outcome in ("minted", "failed"))
    (minted if is_good else failed).inc()


def recorded(new: int, repeated: int) -> None:
    """So many deliveries were recorded."""
    counted().recorded.labels(NEW).inc(new)
    counted().recorded.labels(REPEATED).inc(repeated)


def replied(sent: int, put_off: int) -> None:
    """So many replies went to callers, and so many did not."""
    counted().replies.labels(SENT).inc(sent)
    counted().replies.labels(PUT_OFF).inc(put_off)


def quarantined(task: str) -> None:
    """A task was set aside."""
    counted().quarantined.labels(_known(task)).inc()


def pruned(rows: Mapping[str, int], size: int) -> None:
    """Rows were removed, by their table, and take so many bytes in the archive."""
    for table, count in rows.items():
        counted().pruned.labels(table).inc(count)
    counted().archived.inc(size)


def _known(task: str) -> str:
    # Whoever writes to the broker may call a task what he likes.
    return task if task in _TASKS else OTHER


def _begun(task: Any = None, **_: Any) -> None:
    task.request.began = time.monotonic()


def _done(task: Any = None, state: str | None = None, **_: Any) -> None:
    began = getattr(task.request, "began", None)
    if began is not None:
        outcome = (state or OTHER).lower()
        counted().tasks.labels(_known(task.name), outcome).observe(time.monotonic() - began)


signals.task_prerun.connect(_begun, weak=False)
signals.task_postrun.connect(_done, weak=False)
