"""Submission attempts in Postgres: each is committed before its request is sent, and fenced by its id."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, NamedTuple
from uuid import UUID

from mpesa_balance.apps import App
from mpesa_balance.database import Connection
from mpesa_balance.errors import SealBroken
from mpesa_balance.shortcodes import Shortcode

ACKNOWLEDGED: Final = "acknowledged"
NOT_TAKEN: Final = "not_taken"
REFUSED: Final = "refused"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One submission that this process, and no other, is to make, `wait` seconds from now."""

    id: UUID
    number: int
    query_id: UUID
    remarks: str
    wait: float
    #: Who asks, or why his credential cannot be opened.
    entry: Shortcode | SealBroken
    app: App


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for an attempt; the ids only where Daraja took it."""

    state: str
    http_status: int | None = None
    code: str | None = None
    description: str | None = None
    originator_conversation_id: str | None = None
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a callback needs to know of the attempt that it answers."""

    query_id: UUID
    originator_conversation_id: str | None = None
    conversation_id: str | None = None

    @property
    def ids(self) -> tuple[str | None, str | None]:
        """What Daraja calls it, as far as it is known."""
        return self.originator_conversation_id, self.conversation_id


class Heard(NamedTuple):
    """An attempt that a callback answers, and the ids that it names; None where it names none."""

    attempt_id: UUID
    originator_conversation_id: str | None = None
    conversation_id: str | None = None


def answer(connection: Connection, given: Mapping[UUID, Answer]) -> None:
    """Record what came back for attempts."""
    columns = {name: [getattr(one, name) for one in given.values()] for name in _ANSWER_COLUMNS}
    connection.execute(_ANSWER, {"ids": list(given), **columns})


def withdraw(connection: Connection, attempt_id: UUID, seconds: float) -> None:
    """Take back an attempt for which nothing was sent; the next may begin after `seconds`."""
    connection.execute(_WITHDRAW, {"id": attempt_id, "seconds": seconds})


def try_again_after(connection: Connection, query_id: UUID, number: int, seconds: float) -> bool:
    """Let the attempt after this one of a pending query begin after `seconds`.

    False where the query ends before, or where that attempt has begun already.
    """
    row = {"query_id": query_id, "number": number, "seconds": seconds}
    return bool(connection.execute(_TRY_AGAIN_AFTER, row).rowcount)


def is_last_hope(connection: Connection, query_id: UUID, number: int) -> bool:
    """Whether a query is pending and no other attempt than this one may still bring its balance.

    Where one may, nothing more is begun: its callback is awaited until the deadline.
    """
    row = {"query_id": query_id, "number": number}
    is_last = bool(connection.execute(_IS_LAST_HOPE, row).rowcount)
    if not is_last:
        connection.execute(_BEGIN_NO_MORE, row)
    return is_last


def find(connection: Connection, attempt_ids: Sequence[UUID]) -> dict[UUID, Submitted]:
    """The attempts that callbacks name, their queries locked; without those whose rows are gone."""
    found = connection.execute(_FIND, {"ids": list(attempt_ids)})
    return {row.pop("id"): Submitted(**row) for row in found}


def heard_of(connection: Connection, heard: Iterable[Heard]) -> None:
    """Callbacks prove that Daraja took these attempts, whatever became of the acknowledgements.

    Their conversation ids are kept where the acknowledgement brought none.
    """
    ids, originators, conversations = zip(*heard, strict=True)
    row = {"ids": list(ids), "originators": list(originators), "conversations": list(conversations)}
    connection.execute(_HEARD_OF, row)


# Locks are taken in one order everywhere, the query's before its attempts', so that a callback, an
# answer and the next attempt wait for each other and never in a circle. The app's comes before both
# in `beginnings`, which waits for no query, and after them in `line.hold_back`.

_ANSWER_COLUMNS: Final = tuple(one.name for one in fields(Answer))

#: What is said after a callback has proved the attempt does not take that back.
_ANSWER: Final = """
    UPDATE submission_attempts a SET
        state = said.state, answered_at = now(), http_status = said.http_status,
        code = said.code, description = said.description,
        originator_conversation_id = coalesce(said.originator, a.originator_conversation_id),
        conversation_id = coalesce(said.conversation, a.conversation_id)
    FROM unnest(
        %(ids)s::uuid[], %(state)s::text[], %(http_status)s::int[], %(code)s::text[],
        %(description)s::text[], %(originator_conversation_id)s::text[], %(conversation_id)s::text[]
    ) AS said (id, state, http_status, code, description, originator, conversation)
    WHERE a.id = said.id AND (a.state <> 'acknowledged' OR said.state = 'acknowledged')
"""

_WITHDRAW: Final = """
    WITH withdrawn AS (
        DELETE FROM submission_attempts WHERE id = %(id)s AND state = 'sending' RETURNING query_id
    )
    UPDATE balance_queries q SET
        attempts = attempts - 1, next_attempt_at = now() + make_interval(secs => %(seconds)s)
    FROM withdrawn WHERE q.id = withdrawn.query_id AND q.state = 'pending'
"""

_TRY_AGAIN_AFTER: Final = """
    UPDATE balance_queries SET next_attempt_at = now() + make_interval(secs => %(seconds)s)
    WHERE id = %(query_id)s AND state = 'pending' AND attempts = %(number)s
      AND deadline_at > now() + make_interval(secs => %(seconds)s)
"""

_IS_LAST_HOPE: Final = """
    SELECT FROM balance_queries q WHERE q.id = %(query_id)s AND q.state = 'pending' AND NOT EXISTS (
        SELECT FROM submission_attempts a WHERE a.query_id = q.id AND a.number <> %(number)s
          AND a.state IN ('sending', 'unknown', 'acknowledged')
    )
"""

_BEGIN_NO_MORE: Final = """
    UPDATE balance_queries SET next_attempt_at = deadline_at
    WHERE id = %(query_id)s AND state = 'pending' AND attempts = %(number)s
"""

#: In one order everywhere: two batches that share queries must not wait for each other.
_FIND: Final = """
    SELECT a.id, a.query_id, a.originator_conversation_id, a.conversation_id
    FROM submission_attempts a JOIN balance_queries q ON q.id = a.query_id WHERE a.id = ANY(%(ids)s)
    ORDER BY q.id FOR NO KEY UPDATE OF q
"""

_HEARD_OF: Final = """
    UPDATE submission_attempts a SET
        state = CASE WHEN a.state IN ('sending', 'unknown') THEN 'acknowledged' ELSE a.state END,
        answered_at = CASE WHEN a.state IN ('sending', 'unknown')
                      THEN coalesce(a.answered_at, now()) ELSE a.answered_at END,
        originator_conversation_id = coalesce(a.originator_conversation_id, heard.originator),
        conversation_id = coalesce(a.conversation_id, heard.conversation)
    FROM unnest(%(ids)s::uuid[], %(originators)s::text[], %(conversations)s::text[])
         AS heard (id, originator, conversation)
    WHERE a.id = heard.id
      AND (a.state IN ('sending', 'unknown')
           OR (a.originator_conversation_id IS NULL AND heard.originator IS NOT NULL)
           OR (a.conversation_id IS NULL AND heard.conversation IS NOT NULL))
"""
