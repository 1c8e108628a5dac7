"""Callbacks in Postgres: each kept once by its bytes, with what became of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from mpesa_balance import outbox
from mpesa_balance.database import Connection
from mpesa_balance.deliveries import Delivery, delivery_place
from mpesa_balance.errors import NotFound
from mpesa_balance.happenings import CallbackSettled

#: A judgement takes milliseconds; one that is this old has lost its worker. In seconds.
JUDGEMENT_LEASE: Final = 10

#: How long a bell for a judgement may go unanswered before another one is rung, in seconds.
RING_AGAIN_AFTER: Final = 20

#: How often the judgement of one callback may end its worker.
MOST_JUDGINGS: Final = 3

_POISONOUS: Final = (
    f"its judgement was begun {MOST_JUDGINGS} times and never came to an end: it is kept, and waits for "
    "`mpesa-balance callbacks replay` after a fix"
)


class Disposition(StrEnum):
    """What became of a delivery."""

    APPLIED = "applied"  #: it moved its query
    NOTED = "noted"  #: it says nothing that changes anything
    CONFLICT = "conflict"  #: it contradicts the result that came first
    UNMATCHED = "unmatched"  #: its attempt is gone, or it answers something else
    UNREADABLE = "unreadable"  #: it cannot be read, and can be replayed after a fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A callback that is kept; its disposition is None while nothing has become of it."""

    id: int
    attempt_id: UUID
    kind: str
    digest: bytes
    payload: bytes = field(repr=False)
    disposition: Disposition | None

    @property
    def place(self) -> str:
        """What the payload is sealed for."""
        return delivery_place(self.attempt_id, self.kind, self.digest)


def record(connection: Connection, deliveries: Iterable[Delivery]) -> list[int]:
    """Keep callbacks, or count that the same bytes were recorded once more.

    Gives the numbers of those that are new, in the order in which they came.
    The judgement of a new one is taken to begin with the end of this transaction.
    """
    came: dict[tuple[UUID, str, bytes], list[Delivery]] = {}
    for delivery in deliveries:
        came.setdefault((delivery.attempt_id, delivery.kind, delivery.digest), []).append(delivery)
    # In one order everywhere: two batches that share callbacks must not wait for each other.
    keys = sorted(came)
    firsts = [came[key][0] for key in keys]
    columns: dict[str, list[Any]] = {name: [getattr(one, name) for one in firsts] for name in _DELIVERY}
    columns["flagged"] = [any(one.flagged for one in came[key]) for key in keys]
    columns["deliveries"] = [len(came[key]) for key in keys]
    rows = connection.execute(_RECORD, columns).fetchall()
    new = [
        row for row in rows if row["deliveries"] == len(came[row["attempt_id"], row["kind"], row["digest"]])
    ]
    return [row["id"] for row in sorted(new, key=lambda row: row["received_at"])]


def take_up(connection: Connection, callback_id: int) -> bool:
    """Begin the judgement of a callback again whose worker has ended; False where it need not be.

    What has ended its worker again and again is quarantined as unreadable instead.
    """
    row = connection.execute(_TAKE_UP, {"id": callback_id, "lease": JUDGEMENT_LEASE}).fetchone()
    if row is None or row["judgings"] <= MOST_JUDGINGS:
        return row is not None
    settle(connection, [callback_id], Disposition.UNREADABLE, _POISONOUS)
    outbox.add(connection, outbox.CALLBACK_UNREADABLE, _POISONOUS, callback_id=callback_id)
    return False


def put_back(connection: Connection, callback_ids: Sequence[int]) -> None:
    """Count judgements that were begun and could not be made for none."""
    connection.execute(_PUT_BACK, {"ids": list(callback_ids)})


def ring_unfinished(connection: Connection, limit: int = 100) -> list[int]:
    """The callbacks of which nothing has become and whose worker must have ended, marked as rung for.

    None of them twice within a while: bells that nobody has answered yet are not worth more of them.
    """
    row = {"lease": JUDGEMENT_LEASE, "again": RING_AGAIN_AFTER, "limit": limit}
    return [found["id"] for found in connection.execute(_RING_UNFINISHED, row)]


def find(connection: Connection, callback_id: int) -> Kept:
    """A callback, locked for whoever looks at it again. Raises NotFound."""
    row = connection.execute(_FIND, {"id": callback_id}).fetchone()
    if row is None:
        raise unknown(callback_id)
    return _kept(row)


def find_waiting(connection: Connection, callback_ids: Sequence[int]) -> list[Kept]:
    """Those of these callbacks of which nothing has become yet, locked, in the order of their arrival."""
    rows = connection.execute(_FIND_WAITING, {"ids": list(callback_ids)}).fetchall()
    places = {callback_id: place for place, callback_id in enumerate(callback_ids)}
    return sorted(map(_kept, rows), key=lambda one: places[one.id])


def unknown(callback_id: int) -> NotFound:
    """What is said of a number that no callback has."""
    return NotFound(f"no callback has the number {callback_id}: see `mpesa-balance callbacks list`")


def settle(
    connection: Connection,
    callback_ids: Sequence[int],
    disposition: Disposition,
    reason: str | None = None,
) -> None:
    """Say what became of deliveries."""
    row = {"ids": list(callback_ids), "disposition": disposition, "reason": reason}
    for settled in connection.execute(_SETTLE, row):
        connection.happened.append(CallbackSettled(disposition=disposition, **settled))


def applied_callback(connection: Connection, attempt_id: UUID) -> Kept | None:
    """The result of this attempt that moved its query, if one did."""
    row = connection.execute(_APPLIED, {"attempt_id": attempt_id}).fetchone()
    return _kept(row) if row else None


def _kept(row: dict[str, Any]) -> Kept:
    settled = row["disposition"]
    return Kept(**(row | {"disposition": Disposition(settled) if settled else None}))


_DELIVERY: Final = tuple(one.name for one in fields(Delivery))

#: The second delivery waits here for the transaction of the first. Bytes go as bytes, not as text.
_RECORD: Final = """
    INSERT INTO callbacks (attempt_id, kind, digest, payload, address, received_at, flagged, deliveries,
                           judgings, judging_at)
    SELECT *, 1, clock_timestamp() FROM unnest(
        %(attempt_id)s::uuid[], %(kind)s::text[], %(digest)b::bytea[], %(payload)b::bytea[],
        %(address)s::text[], %(received_at)s::timestamptz[], %(flagged)s::boolean[], %(deliveries)s::int[]
    )
    ON CONFLICT (attempt_id, kind, digest) DO UPDATE SET
        deliveries = callbacks.deliveries + excluded.deliveries,
        flagged = callbacks.flagged OR excluded.flagged
    RETURNING id, attempt_id, kind, digest, deliveries, received_at
"""

#: Whoever comes second sees the new lease and leaves it alone.
_TAKE_UP: Final = """
    UPDATE callbacks SET judgings = judgings + 1, judging_at = clock_timestamp()
    WHERE id = %(id)s AND disposition IS NULL
      AND judging_at < clock_timestamp() - make_interval(secs => %(lease)s)
    RETURNING judgings
"""

_PUT_BACK: Final = """
    UPDATE callbacks SET judgings = judgings - 1
    WHERE id = ANY(%(ids)s) AND disposition IS NULL AND judgings > 0
"""

_RING_UNFINISHED: Final = """
    WITH waiting AS (
        SELECT id FROM callbacks
        WHERE disposition IS NULL AND judging_at < clock_timestamp() - make_interval(secs => %(lease)s)
          AND rung_at < clock_timestamp() - make_interval(secs => %(again)s)
        ORDER BY judging_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE callbacks c SET rung_at = clock_timestamp() FROM waiting WHERE c.id = waiting.id RETURNING c.id
"""

#: A callback that came before its acknowledgement is what answered its attempt.
_SETTLE: Final = """
    UPDATE callbacks c SET disposition = %(disposition)s, reason = %(reason)s WHERE id = ANY(%(ids)s)
    RETURNING kind, extract(epoch FROM clock_timestamp() - received_at)::float AS judged_after,
              (SELECT extract(epoch FROM c.received_at - a.answered_at)::float FROM submission_attempts a
               WHERE a.id = c.attempt_id AND a.answered_at <= c.received_at) AS arrived_after
"""

_FIND: Final = """
    SELECT id, attempt_id, kind, digest, payload, disposition FROM callbacks WHERE id = %(id)s FOR UPDATE
"""

#: In one order everywhere, and before their queries: see the locks in `attempts`.
_FIND_WAITING: Final = """
    SELECT id, attempt_id, kind, digest, payload, disposition FROM callbacks
    WHERE id = ANY(%(ids)s) AND disposition IS NULL ORDER BY id FOR UPDATE
"""

_APPLIED: Final = """
    SELECT id, attempt_id, kind, digest, payload, disposition FROM callbacks
    WHERE attempt_id = %(attempt_id)s AND kind = 'result' AND disposition = 'applied'
"""
