"""M-PESA behind the gateway: it takes a query, looks at who asks, and plays a scenario."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ops.simulator.answers import Answer
from ops.simulator.bank import Bank
from ops.simulator.courier import Callback, Courier
from ops.simulator.delays import Delays
from ops.simulator.initiator import Initiator, Standing
from ops.simulator.ledger import Subject
from ops.simulator.payloads import Conversation, Document, open_conversation
from ops.simulator.scenarios import INITIATOR_LOCKED, INITIATOR_REFUSED, Moment, Scenario, Step
from ops.simulator.scenarios.scenario import RESULT_URL, TIMEOUT_URL

_ACCEPTED: Final = {
    "ResponseCode": "0",
    "ResponseDescription": "Accept the service request successfully.",
}

_KINDS: Final = {RESULT_URL: "result", TIMEOUT_URL: "timeout"}


def _nothing() -> None:
    """What follows from a query that was not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """How a query is handled: its answer, and what sets its callbacks off afterwards."""

    subject: Subject
    answer: Answer
    acknowledgement: Document = field(default_factory=dict)
    begin: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Mpesa:
    """Plays scenarios. A callback after the deadline is one that comes `late_seconds` later."""

    bank: Bank
    initiator: Initiator
    delays: Delays
    late_seconds: float
    courier: Courier

    def receive(self, query: Document, scenario: Scenario, number: int) -> Handling:
        """Begin the scenario with a query, entry `number` of the ledger.

        Wrong credentials are acknowledged like right ones, and refused by callback.
        """
        conversation = open_conversation(query, self.bank.balance)
        if not scenario.answer.is_taken:
            subject = Subject(query=number, shortcode=conversation.shortcode, scenario=scenario.name)
            acknowledgement = conversation.ids | _ACCEPTED
            return Handling(subject=subject, answer=scenario.answer, acknowledgement=acknowledgement)
        return self._play(conversation, self._judged(query, scenario), number)

    def _judged(self, query: Document, scenario: Scenario) -> Scenario:
        standing = self.initiator.judge(query)
        if standing is Standing.ACCEPTED:
            return scenario
        return INITIATOR_LOCKED if standing is Standing.LOCKED else INITIATOR_REFUSED

    def _play(self, conversation: Conversation, scenario: Scenario, number: int) -> Handling:
        subject = Subject(
            query=number,
            shortcode=conversation.shortcode,
            scenario=scenario.name,
            originator_conversation_id=conversation.ids["OriginatorConversationID"],
            conversation_id=conversation.ids["ConversationID"],
        )
        later: list[Callback] = []
        for step in scenario.steps:
            for callback in self._callbacks(step, conversation, subject):
                if step.moment is Moment.BEFORE_ANSWER:
                    self.courier.send(callback)
                else:
                    later.append(callback)
        return Handling(
            subject=subject,
            answer=scenario.answer,
            acknowledgement=conversation.ids | _ACCEPTED,
            begin=self.courier.promise(later),
        )

    def _callbacks(self, step: Step, conversation: Conversation, subject: Subject) -> Iterator[Callback]:
        document = step.body(conversation)
        for _ in range(step.times):
            yield Callback(
                delay=self._delay(step.moment, conversation.shortcode),
                kind=_KINDS[step.to],
                url=str(conversation.query[step.to]),
                document=document,
                subject=subject,
            )

    def _delay(self, moment: Moment, shortcode: str) -> float:
        if moment is Moment.IN_ITS_TIME:
            return self.delays.next(shortcode)
        return self.late_seconds if moment is Moment.AFTER_DEADLINE else 0.0
