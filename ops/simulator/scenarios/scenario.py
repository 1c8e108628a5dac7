"""What a scenario is: how a query is answered, what is called back, and what is right to make of it."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from mpesa_balance.states import OPEN, QueryState
from ops.simulator.answers import ACKNOWLEDGE, Answer
from ops.simulator.payloads import Body

Disposition = Literal["applied", "noted", "conflict", "unmatched", "unreadable"]

#: The fields of a query that say where its callbacks go.
RESULT_URL: Final = "ResultURL"
TIMEOUT_URL: Final = "QueueTimeOutURL"


class Moment(Enum):
    """When a callback is sent."""

    BEFORE_ANSWER = auto()  #: and its own answer is awaited before the query is answered
    IN_ITS_TIME = auto()  #: after a delay that is drawn
    AFTER_DEADLINE = auto()  #: when nobody waits for it any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A callback of a scenario. It waits until the step before it was answered, then for its moment.

    `times` is how often the same bytes are sent.
    """

    body: Body
    to: str = RESULT_URL
    moment: Moment = Moment.IN_ITS_TIME
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One story, and its end.

    name: what a plan calls it.
    number: the shortcode that gets it where no plan says otherwise.
    does: what the simulator does, a sentence.
    answer, steps: how the query is answered, and what is called back.
    passes: whether it happens to one submission of a shortcode and is `success` from then on.
    state, late: how the query stands after the last callback, before its deadline passes (for a
        callback after the deadline: after that callback).
    dispositions: what becomes of each callback, in the order in which they are sent. The same bytes
        sent again are counted, and have none of their own.
    refused_code: the code that the query fails with.
    retried: whether another query takes its place, which gets `success`.
    """

    name: str
    number: str
    does: str
    answer: Answer = ACKNOWLEDGE
    steps: tuple[Step, ...] = ()
    passes: bool = False
    state: QueryState
    late: bool = False
    dispositions: tuple[Disposition, ...] = ()
    refused_code: str | None = None
    retried: bool = False

    @property
    def outcome(self) -> str:
        """What a correct system makes of it, in words."""
        late = ", late" if self.late else ""
        code = f" with `{self.refused_code}`" if self.refused_code else ""
        waits = ", and times out at its deadline" if self.state in OPEN else ""
        retried = ", and a retry of it is `completed`" if self.retried else ""
        told = ", ".join(self.dispositions)
        return f"`{self.state}`{code}{late}{retried}{waits}" + (f"; callbacks: {told}" if told else "")
