"""What has happened in a transaction, for whoever counts it: told once that has committed. Pure."""

from dataclasses import dataclass
from uuid import UUID

from mpesa_balance.states import OPEN, QueryState


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryMoved:
    """A query went from a state, in which it had been for `seconds`, to another.

    late: the result came after the query had timed out. code: Daraja's, or None where it gave none.
    """

    query_id: UUID
    origin: QueryState
    to: QueryState
    seconds: float
    late: bool
    code: str | None

    @property
    def is_ending(self) -> bool:
        """Whether whoever asked has an answer now, if only a guessed one."""
        return self.to not in OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSettled:
    """Something became of a callback.

    judged_after: seconds since it was received. arrived_after: seconds from the answer to its
    submission until it was received; None where it came first.
    """

    kind: str
    disposition: str
    judged_after: float
    arrived_after: float | None


@dataclass(frozen=True, slots=True)
class RepliesAdded:
    """Callers' own tasks are to be told something."""


Happening = QueryMoved | CallbackSettled | RepliesAdded
