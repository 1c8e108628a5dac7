"""The tasks: a name, a policy and one call each."""

from typing import Any, Final
from uuid import UUID

from celery import Task
from celery.exceptions import SoftTimeLimitExceeded

from mpesa_balance import contract
from mpesa_balance.database import DATABASE_FAULTS
from mpesa_balance.errors import SchemaOutdated, Unavailable
from worker import (
    callbacks,
    clock,
    intake,
    lookups,
    retaining,
    scheduling,
    setting_aside,
    submission,
    sweeper,
    telling,
)
from worker.app import app
from worker.house import house

#: Faults of ours, a database that waits for its migration included, are tried again until they
#: pass: soon at first, then every half minute.
PATIENT: Final[dict[str, Any]] = {
    "autoretry_for": (Unavailable, SchemaOutdated),
    "max_retries": None,
    # Also the wait after a worker was killed under a task; Celery's own is three minutes.
    "default_retry_delay": 5,
    "retry_backoff": 1,
    "retry_backoff_max": 30,
    "retry_jitter": True,
}

#: What the broker alone keeps is tried again whatever Postgres says of it, and however long it took.
KEPT_BY_NOBODY_ELSE: Final[dict[str, Any]] = PATIENT | {
    "autoretry_for": (*PATIENT["autoretry_for"], DATABASE_FAULTS, SoftTimeLimitExceeded),
}

#: What comes again by itself needs no retry of its own: the next tick, the spool, the sweeper.
REPEATED: Final[dict[str, Any]] = {"max_retries": 0, "retry_on_worker_lost": False}


@app.task(bind=True, name=contract.REQUEST_BALANCE, **KEPT_BY_NOBODY_ELSE)
def request_balance(self: "Task[Any, Any]", /, *unnamed: Any, **ask: Any) -> None:
    """Open a query for what was asked, or record why it cannot be done."""
    trace_parent = contract.trace_parent(self.request.headers)
    intake.open_request(house(), str(self.request.id), ask, unnamed, trace_parent)


@app.task(name=contract.GET_BALANCE, **REPEATED)
def get_balance(*, request_id: str, channel: str, requested_by: str | None = None) -> None:
    """Tell a caller how a request stands; it asks again where it hears nothing."""
    lookups.answer(house(), request_id, channel, requested_by)


@app.task(name=contract.SUBMIT_QUERY, **PATIENT)
def submit_query(*, query_id: str) -> None:
    """Put those who wait in the line of this query's app to Daraja."""
    submission.submit(house(), UUID(query_id))


@app.task(name=contract.RECORD_CALLBACKS, **KEPT_BY_NOBODY_ELSE)
def record_callbacks(*, deliveries: list[dict[str, str]]) -> None:
    """Record what Daraja said and make the moves that follow from it."""
    callbacks.record(house(), deliveries)


@app.task(name=contract.RECORD_SPOOLED, **REPEATED)
def record_spooled_callbacks(*, deliveries: list[dict[str, Any]], spool: str) -> None:
    """Record what a spool keeps until it has our receipt."""
    callbacks.record(house(), deliveries, spool)


@app.task(name=contract.JUDGE_CALLBACK, **REPEATED)
def judge_callback(*, callback_id: int) -> None:
    """Make the move that follows from a callback whose worker ended before."""
    callbacks.judge_again(house(), callback_id)


@app.task(name=contract.REFRESH_TOKENS, **REPEATED)
def refresh_tokens() -> None:
    """Mint what expires soon."""
    clock.tick(house(), contract.REFRESH_TOKENS, lambda house: house.tokens.refresh_all())


@app.task(name=contract.RUN_SCHEDULES, **REPEATED)
def run_schedules() -> None:
    """Ask for every shortcode whose schedule is due."""
    clock.tick(house(), contract.RUN_SCHEDULES, scheduling.open_due)


@app.task(name=contract.SWEEP, **REPEATED)
def sweep() -> None:
    """Ring what was stranded, time out what nobody answered, look at passwords, tell what happened."""
    clock.tick(house(), contract.SWEEP, sweeper.sweep)


@app.task(name=contract.DELIVER_ALERTS, **REPEATED)
def deliver_alerts() -> None:
    """Tell the people on call what they have not been told yet."""
    clock.tick(house(), contract.DELIVER_ALERTS, telling.deliver)


@app.task(name=contract.PRUNE, **REPEATED)
def prune() -> None:
    """Archive and remove what ended longer ago than it is kept."""
    clock.tick(house(), contract.PRUNE, retaining.prune)


@app.task(name=contract.QUARANTINE, **KEPT_BY_NOBODY_ELSE)
def quarantine(**found: str) -> None:
    """Set aside what ended its process again and again."""
    setting_aside.set_aside(house(), **found)


@app.task(name=contract.CANARY, **REPEATED)
def canary() -> None:
    """Nothing but a sign that this worker takes its messages: see worker/watch.py."""
