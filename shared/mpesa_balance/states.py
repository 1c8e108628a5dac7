"""The machine: the states of a balance query, what may follow what, and why. The only place."""

from collections.abc import Mapping
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final


class QueryState(StrEnum):
    """Where a balance query stands."""

    PENDING = "pending"  #: we hold it; Daraja has not taken it yet
    ACKNOWLEDGED = "acknowledged"  #: Daraja took it; its result is awaited
    COMPLETED = "completed"  #: a result carried balances, and they are stored
    FAILED = "failed"  #: Daraja said no for good, or our last submission attempt did
    TIMED_OUT = "timed_out"  #: nobody answered in time, or Daraja sent a queue timeout


class Moved(Enum):
    """What became of a move."""

    NOW = "now"  #: this call made the move
    BEFORE = "before"  #: the query stood there already
    NOT = "not"  #: the query may not go there; nothing changed


_EARLY = "a result may outrun the acknowledgement of its own request"
_LATE = "a timeout is our guess; a late result is the truth, and is marked late"

#: From each state, the states that may follow it, each with its reason.
MOVES: Final[Mapping[QueryState, Mapping[QueryState, str]]] = MappingProxyType(
    {
        QueryState.PENDING: {
            QueryState.ACKNOWLEDGED: "Daraja accepted the query and gave it an id",
            QueryState.COMPLETED: _EARLY,
            QueryState.FAILED: "Daraja refused it, or the last submission attempt was spent",
            QueryState.TIMED_OUT: "the deadline passed, or a queue timeout outran the answer",
        },
        QueryState.ACKNOWLEDGED: {
            QueryState.COMPLETED: "the result carried balances",
            QueryState.FAILED: "the result carried a refusal",
            QueryState.TIMED_OUT: "the deadline passed, or Daraja sent a queue timeout",
        },
        QueryState.TIMED_OUT: {QueryState.COMPLETED: _LATE, QueryState.FAILED: _LATE},
        QueryState.COMPLETED: {},
        QueryState.FAILED: {},
    }
)

#: Waiting for somebody else's answer; every other state has an answer, if only a guessed one.
OPEN: Final = frozenset({QueryState.PENDING, QueryState.ACKNOWLEDGED})

#: No move leads out of these.
ENDINGS: Final = frozenset(state for state, following in MOVES.items() if not following)


def origins(to: QueryState) -> list[QueryState]:
    """The states from which a query may move to `to`, in the machine's order."""
    return [state for state, following in MOVES.items() if to in following]
