"""Submission attempts in Postgres: each is committed before its request is sent, and fenced by its id."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple
from uuid import UUID

from mpesa_balance import line, shortcodes
from mpesa_balance.apps import App
from mpesa_balance.database import Connection
from mpesa_balance.errors import SealBroken
from mpesa_balance.ids import time_ordered_id
from mpesa_balance.line import LEAST_WAIT, MOST_WAIT, SPACING
from mpesa_balance.sealing import Sealer
from mpesa_balance.shortcodes import Shortcode

ACKNOWLEDGED: Final = "acknowledged"
NOT_TAKEN: Final = "not_taken"
REFUSED: Final = "refused"
UNKNOWN: Final = "unknown"

#: How many attempts of one query Daraja may have taken without ending it. The query only reads.
MOST_UNANSWERED: Final = 3


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


def begin(
    connection: Connection, sealer: Sealer, app: App, query_id: UUID, grace_seconds: int
) -> Attempt | None:
    """Take the right to submit the query that is first in the line of `app`, which is `query_id`'s.

    Whoever answers a bell serves the line, so that queries leave in the order in which they were
    asked, whichever bell is heard first. None where nothing is due, or where the app's next slot is
    too far off to wait for. The next attempt of the query cannot begin before the grace has passed,
    so this is also the lease.
    """
    attempt_id = time_ordered_id()
    row = {
        "app": app.name,
        "query_id": query_id,
        "attempt_id": attempt_id,
        "grace": grace_seconds,
        "most": MOST_UNANSWERED,
        "least_wait": LEAST_WAIT,
        "most_wait": MOST_WAIT,
        "spacing": SPACING,
    }
    connection.execute(_LOCK_APP, row)
    begun = connection.execute(_BEGIN, row).fetchone()
    if begun is None or begun["query_id"] != query_id:
        # Its bell has served another or nobody, so it must be rung once more.
        connection.execute(_BELL_WAS_HEARD, row)
    if begun is None:
        return None
    return Attempt(
        id=attempt_id,
        number=begun["number"],
        query_id=begun["query_id"],
        remarks=begun["remarks"],
        wait=line.take_slot(connection, app.name) or 0.0,
        entry=_entry(connection, sealer, begun["shortcode"]),
        app=app,
    )


def _entry(connection: Connection, sealer: Sealer, shortcode: str) -> Shortcode | SealBroken:
    # A value and no error: one credential that does not open must not hold up the line behind it.
    try:
        return shortcodes.held(connection, sealer, shortcode)
    except SealBroken as broken:
        return broken


def answer(connection: Connection, attempt_id: UUID, given: Answer) -> None:
    """Record what came back for an attempt."""
    connection.execute(_ANSWER, {"id": attempt_id, **asdict(given)})


def withdraw(connection: Connection, attempt_id: UUID, seconds: float) -> None:
    """Take back an attempt for which nothing was sent; the next may begin after `seconds`."""
    connection.execute(_WITHDRAW, {"id": attempt_id, "seconds": seconds})


def try_again_after(connection: Connection, query_id: UUID, seconds: float) -> bool:
    """Let the next attempt of a pending query begin after `seconds`; False where it ends before."""
    row = {"query_id": query_id, "seconds": seconds}
    return bool(connection.execute(_TRY_AGAIN_AFTER, row).rowcount)


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
# in `begin`, which waits for no query, and after them in `line.hold_back`.

#: Beginnings of one app happen one after the other, so that its slots are given out in order.
_LOCK_APP: Final = "SELECT FROM daraja_apps WHERE name = %(app)s FOR NO KEY UPDATE"

#: The first in line, where the app's next slot is near. Its earlier attempts that never heard anything
#: become unknown in the same statement.
_BEGIN: Final = """
    WITH app AS (
        SELECT name FROM daraja_apps
        WHERE name = %(app)s
          AND next_slot_at <= clock_timestamp() + make_interval(secs => least(
              greatest(%(least_wait)s, 2 * %(spacing)s / requests_per_second), %(most_wait)s)::float)
    ), first AS (
        SELECT q.id FROM app JOIN shortcodes s ON s.app = app.name JOIN balance_queries q USING (shortcode)
        WHERE q.state = 'pending' AND NOT q.late AND q.next_attempt_at <= statement_timestamp()
          AND q.deadline_at > statement_timestamp() AND s.suspended_at IS NULL
          AND (SELECT count(*) FROM submission_attempts a
               WHERE a.query_id = q.id AND a.state IN ('sending', 'unknown', 'acknowledged')) < %(most)s
        ORDER BY q.created_at, q.id LIMIT 1 FOR UPDATE OF q SKIP LOCKED
    ), taken AS (
        UPDATE balance_queries q SET
            attempts = attempts + 1,
            next_attempt_at = now() + make_interval(secs => %(grace)s)
        FROM first WHERE q.id = first.id AND q.state = 'pending'
        RETURNING q.id, q.attempts, q.shortcode, q.remarks
    ), given_up AS (
        UPDATE submission_attempts a SET state = 'unknown' FROM taken
        WHERE a.query_id = taken.id AND a.state = 'sending'
    ), begun AS (
        INSERT INTO submission_attempts (id, query_id, number, sent_at)
        SELECT %(attempt_id)s, id, attempts, clock_timestamp() FROM taken
    )
    SELECT id AS query_id, attempts AS number, shortcode, remarks FROM taken
"""

#: A bell that was heard in vain will be rung again: by whoever is done first, or by the sweeper.
_BELL_WAS_HEARD: Final = """
    UPDATE balance_queries SET rung_at = '-infinity'
    WHERE id = %(query_id)s AND state = 'pending' AND next_attempt_at <= now() AND deadline_at > now()
"""

#: What is said after a callback has proved the attempt does not take that back.
_ANSWER: Final = """
    UPDATE submission_attempts SET
        state = %(state)s, answered_at = now(), http_status = %(http_status)s,
        code = %(code)s, description = %(description)s,
        originator_conversation_id = coalesce(%(originator_conversation_id)s, originator_conversation_id),
        conversation_id = coalesce(%(conversation_id)s, conversation_id)
    WHERE id = %(id)s AND (state <> 'acknowledged' OR %(state)s = 'acknowledged')
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
    WHERE id = %(query_id)s AND state = 'pending'
      AND deadline_at > now() + make_interval(secs => %(seconds)s)
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
