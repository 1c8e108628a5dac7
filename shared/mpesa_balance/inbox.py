"""Callbacks in Postgres: each kept once by its bytes, with what became of it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from mpesa_balance import outbox
from mpesa_balance.balances import Account, Balance
from mpesa_balance.database import Connection
from mpesa_balance.deliveries import Delivery, delivery_place
from mpesa_balance.errors import NotFound
from mpesa_balance.happenings import CallbackSettled
from mpesa_balance.sealing import Sealer

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
    # In one order everywhere: two batches that share callbacks must not wait for each other.
    ordered = sorted(deliveries, key=lambda one: (one.attempt_id, one.kind, one.digest))
    with connection.cursor() as cursor:
        cursor.executemany(_RECORD, [asdict(delivery) for delivery in ordered], returning=True)
        rows = [row for result in cursor.results() for row in result]
    new = [row for row in rows if row["is_new"]]
    return [row["id"] for row in sorted(new, key=lambda row: row["received_at"])]


def take_up(connection: Connection, callback_id: int) -> bool:
    """Begin the judgement of a callback again whose worker has ended; False where it need not be.

    What has ended its worker again and again is quarantined as unreadable instead.
    """
    row = connection.execute(_TAKE_UP, {"id": callback_id, "lease": JUDGEMENT_LEASE}).fetchone()
    if row is None or row["judgings"] <= MOST_JUDGINGS:
        return row is not None
    settle(connection, callback_id, Disposition.UNREADABLE, _POISONOUS)
    outbox.add(connection, outbox.CALLBACK_UNREADABLE, _POISONOUS, callback_id=callback_id)
    return False


def put_back(connection: Connection, callback_id: int) -> None:
    """Count a judgement that was begun and could not be made for none."""
    connection.execute(_PUT_BACK, {"id": callback_id})


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


def unknown(callback_id: int) -> NotFound:
    """What is said of a number that no callback has."""
    return NotFound(f"no callback has the number {callback_id}: see `mpesa-balance callbacks list`")


def settle(
    connection: Connection, callback_id: int, disposition: Disposition, reason: str | None = None
) -> None:
    """Say what became of a delivery."""
    row = {"id": callback_id, "disposition": disposition, "reason": reason}
    for settled in connection.execute(_SETTLE, row):
        connection.happened.append(CallbackSettled(disposition=disposition, **settled))


def applied_callback(connection: Connection, attempt_id: UUID) -> Kept | None:
    """The result of this attempt that moved its query, if one did."""
    row = connection.execute(_APPLIED, {"attempt_id": attempt_id}).fetchone()
    return _kept(row) if row else None


def store_balance(
    connection: Connection,
    sealer: Sealer,
    query_id: UUID,
    callback_id: int,
    balance: Balance,
    raw: str | None,
) -> None:
    """Store the accounts of a query that was just completed, sealed: a document of decimal strings."""
    accounts = [account.document() for account in balance.accounts]
    document = json.dumps({"accounts": accounts, "raw": raw})
    row = {
        "query_id": query_id,
        "callback_id": callback_id,
        "document": sealer.seal_text(document, balance_place(query_id)),
        "warnings": list(balance.warnings),
    }
    connection.execute(_STORE_BALANCE, row)


def open_balance(sealer: Sealer, query_id: UUID, sealed: bytes) -> list[Account]:
    """The accounts in a stored document."""
    document: Mapping[str, Any] = json.loads(sealer.open_text(sealed, balance_place(query_id)))
    return [Account.from_document(account) for account in document["accounts"]]


def _kept(row: dict[str, Any]) -> Kept:
    settled = row["disposition"]
    return Kept(**(row | {"disposition": Disposition(settled) if settled else None}))


def balance_place(query_id: UUID) -> str:
    """What the document of a query's balance is sealed for."""
    return f"balances/{query_id}"


#: The second delivery waits here for the transaction of the first.
_RECORD: Final = """
    INSERT INTO callbacks (attempt_id, kind, digest, payload, address, received_at, flagged,
                           judgings, judging_at)
    VALUES (%(attempt_id)s, %(kind)s, %(digest)s, %(payload)s, %(address)s, %(received_at)s, %(flagged)s,
            1, clock_timestamp())
    ON CONFLICT (attempt_id, kind, digest) DO UPDATE SET
        deliveries = callbacks.deliveries + 1, flagged = callbacks.flagged OR excluded.flagged
    RETURNING id, received_at, deliveries = 1 AS is_new
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
    WHERE id = %(id)s AND disposition IS NULL AND judgings > 0
"""

_RING_UNFINISHED: Final = """
    WITH waiting AS (
        SELECT id FROM callbacks
        WHERE disposition IS NULL AND reason IS NULL
          AND judging_at < clock_timestamp() - make_interval(secs => %(lease)s)
          AND rung_at < clock_timestamp() - make_interval(secs => %(again)s)
        ORDER BY judging_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE callbacks c SET rung_at = clock_timestamp() FROM waiting WHERE c.id = waiting.id RETURNING c.id
"""

#: A callback that came before its acknowledgement is what answered its attempt.
_SETTLE: Final = """
    UPDATE callbacks c SET disposition = %(disposition)s, reason = %(reason)s WHERE id = %(id)s
    RETURNING kind, extract(epoch FROM clock_timestamp() - received_at)::float AS judged_after,
              (SELECT extract(epoch FROM c.received_at - a.answered_at)::float FROM submission_attempts a
               WHERE a.id = c.attempt_id AND a.answered_at <= c.received_at) AS arrived_after
"""

_FIND: Final = """
    SELECT id, attempt_id, kind, digest, payload, disposition FROM callbacks WHERE id = %(id)s FOR UPDATE
"""

_APPLIED: Final = """
    SELECT id, attempt_id, kind, digest, payload, disposition FROM callbacks
    WHERE attempt_id = %(attempt_id)s AND kind = 'result' AND disposition = 'applied'
"""

_STORE_BALANCE: Final = """
    INSERT INTO balances (query_id, shortcode, callback_id, document, warnings, as_of)
    SELECT id, shortcode, %(callback_id)s, %(document)s, %(warnings)s, coalesce(completed_at, created_at)
    FROM balance_queries WHERE id = %(query_id)s
"""
