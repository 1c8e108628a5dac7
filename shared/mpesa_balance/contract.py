"""The wire: task names, queues and message shapes that other services rely on. Added to, never renamed.

Any Celery program on the same broker can ask, without installing this package::

    sent = app.send_task(
        "mpesa_balance.request_balance",
        kwargs={"shortcode": "600000", "idempotency_key": "payroll-2026-11"},
        queue="mpesa-requests",
    )

The request id is the Celery task's id, or, where an idempotency key was given, `request_id_for`
of the shortcode and the key; either way the caller knows it without a round trip.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self
from uuid import UUID, uuid5

from mpesa_balance.errors import RequestRefused

REQUEST_BALANCE: Final = "mpesa_balance.request_balance"
GET_BALANCE: Final = "mpesa_balance.get_balance"
SUBMIT_QUERY: Final = "mpesa_balance.submit_query"
RECORD_CALLBACKS: Final = "mpesa_balance.record_callbacks"
RECORD_SPOOLED: Final = "mpesa_balance.record_spooled_callbacks"
JUDGE_CALLBACK: Final = "mpesa_balance.judge_callback"
REFRESH_TOKENS: Final = "mpesa_balance.refresh_tokens"
RUN_SCHEDULES: Final = "mpesa_balance.run_schedules"
SWEEP: Final = "mpesa_balance.sweep"
QUARANTINE: Final = "mpesa_balance.quarantine"
DELIVER_ALERTS: Final = "mpesa_balance.deliver_alerts"
PRUNE: Final = "mpesa_balance.prune"
CANARY: Final = "mpesa_balance.canary"

REQUESTS_QUEUE: Final = "mpesa-requests"
SUBMISSIONS_QUEUE: Final = "mpesa-submissions"
CALLBACKS_QUEUE: Final = "mpesa-callbacks"
MAINTENANCE_QUEUE: Final = "mpesa-maintenance"

#: Where messages go whose queue nobody has declared. Nobody watches it: it is for people to look at.
UNROUTABLE_QUEUE: Final = "mpesa-unroutable"

#: The queue of each task. What waits for others outside is in one, and holds up nothing else.
QUEUES: Final[Mapping[str, str]] = {
    REQUEST_BALANCE: REQUESTS_QUEUE,
    GET_BALANCE: REQUESTS_QUEUE,
    SUBMIT_QUERY: SUBMISSIONS_QUEUE,
    RECORD_CALLBACKS: CALLBACKS_QUEUE,
    RECORD_SPOOLED: CALLBACKS_QUEUE,
    # Not with the callbacks: bells that wait must not keep the spool from publishing.
    JUDGE_CALLBACK: MAINTENANCE_QUEUE,
    REFRESH_TOKENS: SUBMISSIONS_QUEUE,
    RUN_SCHEDULES: MAINTENANCE_QUEUE,
    SWEEP: MAINTENANCE_QUEUE,
    QUARANTINE: MAINTENANCE_QUEUE,
    PRUNE: MAINTENANCE_QUEUE,
    # Where others are waited for, and where the network outside is reached.
    DELIVER_ALERTS: SUBMISSIONS_QUEUE,
}

#: Where the worker tells a spool, below its id, which numbers Postgres has: a list in Redis.
RECEIPTS: Final = "mpesa-receipts:"

#: Where the worker publishes the answer to `get_balance`, below a random name that the caller chooses: a
#: channel in Redis, so that nothing of it is ever stored there.
ANSWERS: Final = "mpesa-answers:"

#: The message header with the caller's trace (W3C Trace Context).
TRACE_PARENT: Final = "traceparent"

#: The form of what a caller's own task is told; a later one only adds to it.
EVENT_VERSION: Final = 1

#: The namespace of request ids made from idempotency keys. Changing it would make every key new.
REQUEST_NAMESPACE: Final = UUID("7a5d2b0e-6a0f-5c39-9f0d-6d1f6c1f0b52")

DEFAULT_REMARKS: Final = "Account balance query"

#: A balance that is older than a year is none that anybody wants reused, in seconds.
_LONGEST_AGE: Final = 365 * 86_400

_TRACE_PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_ANSWERS = re.compile(rf"{ANSWERS}[0-9a-f]{{32}}", re.ASCII)
#: How the names begin that this system, kombu and Celery keep their own things under.
_OURS: Final = ("mpesa-", "_kombu", "unacked")

_SHORTCODE = re.compile(r"[0-9]{5,12}", re.ASCII)
_REMARKS = re.compile(r"[A-Za-z0-9 .,:;/()_+-]{2,100}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceAsk:
    """What a caller asks: the keyword arguments of `mpesa_balance.request_balance`.

    shortcode: the registered shortcode, till or MSISDN, 5 to 12 digits.
    idempotency_key: asking twice with one key for one shortcode is one request; up to 200 characters.
    remarks: 2 to 100 letters, digits, spaces and . , : ; / ( ) _ + - (Daraja refuses an empty one).
    requested_by: who asks, for the history; up to 200 characters.
    max_age: a balance that is at most this many seconds old will do; whole seconds. An older one is
        the answer none the less while the minimum interval of its shortcode is not over.
    force: ask M-PESA even so, although a query is in flight or the last one was a moment ago.
    reply_to: {"task": ..., "queue": ...}, the caller's own Celery task that is told how it ended, with
        one keyword argument `event`; see ops/docs/callers.md.
    include_accounts: whether that message holds the amounts. They pass through Redis then.
    """

    shortcode: str
    idempotency_key: str | None = None
    remarks: str = DEFAULT_REMARKS
    requested_by: str | None = None
    max_age: int | None = None
    force: bool = False
    reply_to: Mapping[str, str] | None = None
    include_accounts: bool = False

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> Self:
        """The ask in `message`. Raises RequestRefused with everything that is wrong with it."""
        known = {field.name for field in fields(cls)}
        given = {name: message[name] for name in known & message.keys() if message[name] is not None}
        wrong = [
            f"{name!r} is not an argument of a balance request: use {', '.join(sorted(known))}"
            for name in sorted(message.keys() - known)
        ]
        wrong += [problem for name, check in _CHECKS.items() if (problem := check(given.get(name)))]
        if wrong:
            raise RequestRefused(wrong)
        return cls(**given)

    def message(self) -> dict[str, Any]:
        """The keyword arguments for the task, without those that were not given."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None and value is not False}


def request_id_for(shortcode: str, idempotency_key: str) -> UUID:
    """The id of the request that was or will be made with this key for this shortcode."""
    return uuid5(REQUEST_NAMESPACE, f"{shortcode}\n{idempotency_key}")


def request_id(ask: BalanceAsk, task_id: str) -> UUID:
    """The id of the request that Celery task `task_id` makes."""
    if ask.idempotency_key is not None:
        return request_id_for(ask.shortcode, ask.idempotency_key)
    return id_of_task(task_id)


def id_of_task(task_id: str) -> UUID:
    """The task's own id, also where a caller chose one that is no UUID."""
    try:
        return UUID(task_id)
    except ValueError:
        # Celery lets a caller choose any text, also one that is no Unicode.
        return uuid5(REQUEST_NAMESPACE, task_id.encode("utf-8", "backslashreplace").decode())


def check_shortcode(value: object) -> str | None:
    """What is wrong with a shortcode, or None."""
    if isinstance(value, str) and _SHORTCODE.fullmatch(value):
        return None
    return "shortcode must be a string of 5 to 12 digits, such as '600000'"


def check_remarks(value: object) -> str | None:
    """What is wrong with remarks, or None; None is taken for the default."""
    if value is None or (isinstance(value, str) and _REMARKS.fullmatch(value)):
        return None
    return (
        "remarks must be 2 to 100 letters, digits, spaces and . , : ; / ( ) _ + - "
        "(Daraja refuses or silently drops others)"
    )


def _check_label(name: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200):
        return None
    return f"{name} must be a string of 1 to 200 printable characters"


def _check_max_age(value: object) -> str | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LONGEST_AGE
    if value is None or is_whole:
        return None
    return f"max_age must be whole seconds from 0 to {_LONGEST_AGE}"


def _check_flag(name: str, value: object) -> str | None:
    return None if value is None or isinstance(value, bool) else f"{name} must be true or false"


def _check_reply_to(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or value.keys() != {"task", "queue"}:
        return 'reply_to must be {"task": name of your Celery task, "queue": name of its queue}'
    for name, text in value.items():
        if problem := _check_label(f"the {name} in reply_to", text):
            return problem
    if value["queue"].startswith(_OURS):
        return "the queue in reply_to must be one that your own workers watch: this name is taken"
    return None


def trace_parent(headers: Mapping[str, Any] | None) -> str | None:
    """The caller's trace among the headers of its message, where there is one that can be read."""
    value = (headers or {}).get(TRACE_PARENT)
    return value if isinstance(value, str) and _TRACE_PARENT.fullmatch(value) else None


def is_answers_channel(value: object) -> bool:
    """Whether this is the name of a channel for an answer."""
    return isinstance(value, str) and bool(_ANSWERS.fullmatch(value))


_CHECKS: Final[Mapping[str, Callable[[object], str | None]]] = {
    "shortcode": check_shortcode,
    "remarks": check_remarks,
    "idempotency_key": lambda value: _check_label("idempotency_key", value),
    "requested_by": lambda value: _check_label("requested_by", value),
    "max_age": _check_max_age,
    "force": lambda value: _check_flag("force", value),
    "reply_to": _check_reply_to,
    "include_accounts": lambda value: _check_flag("include_accounts", value),
}
