"""Shortcodes 6001xx: what M-PESA calls back with, in which order and when, and how it acknowledges."""

from typing import Final

from mpesa_balance.states import QueryState
from ops.simulator import payloads
from ops.simulator.answers import acknowledge
from ops.simulator.payloads import Body, Document
from ops.simulator.scenarios.scenario import TIMEOUT_URL, Moment, Scenario, Step

RESULT: Final = Step(body=payloads.success)


def _timeout(body: Body) -> Step:
    return Step(body=body, to=TIMEOUT_URL)


def _empty(acknowledgement: Document) -> Document:
    return dict.fromkeys(acknowledgement, "")


def _rejected(acknowledgement: Document) -> Document:
    said = "Bad Request - Invalid SecurityCredential"
    return acknowledgement | {"ResponseCode": _REJECTED, "ResponseDescription": said}


def _one_id(acknowledgement: Document) -> Document:
    return {name: value for name, value in acknowledgement.items() if name != "OriginatorConversationID"}


def _typo(acknowledgement: Document) -> Document:
    return _one_id(acknowledgement) | {
        "OriginatorCoversationID": acknowledgement["OriginatorConversationID"]
    }


_REJECTED: Final = "400002"

SUCCESS: Final = Scenario(
    name="success",
    number="600000",
    does="Acknowledges the query and sends its balances.",
    steps=(RESULT,),
    state=QueryState.COMPLETED,
    dispositions=("applied",),
)

RESULTS: Final = (
    SUCCESS,
    Scenario(
        name="early",
        number="600101",
        does="Sends the result, and awaits its answer, before the acknowledgement is written.",
        steps=(Step(body=payloads.success, moment=Moment.BEFORE_ANSWER),),
        state=QueryState.COMPLETED,
        dispositions=("applied",),
    ),
    Scenario(
        name="duplicate",
        number="600102",
        does="Sends the same bytes of one result twice.",
        steps=(Step(body=payloads.success, times=2),),
        state=QueryState.COMPLETED,
        dispositions=("applied",),
    ),
    Scenario(
        name="conflicting",
        number="600103",
        does="Sends a second result for the same conversation, with other amounts.",
        steps=(RESULT, RESULT),
        state=QueryState.COMPLETED,
        dispositions=("applied", "conflict"),
    ),
    Scenario(
        name="late",
        number="600104",
        does="Sends a queue timeout first and the result after it.",
        steps=(_timeout(payloads.timeout_envelope), RESULT),
        state=QueryState.COMPLETED,
        late=True,
        dispositions=("applied", "applied"),
    ),
    Scenario(
        name="after-deadline",
        number="600105",
        does="Sends only the result, and that `--late-seconds` after the query.",
        steps=(Step(body=payloads.success, moment=Moment.AFTER_DEADLINE),),
        state=QueryState.COMPLETED,
        late=True,
        dispositions=("applied",),
    ),
    Scenario(
        name="out-of-order",
        number="600106",
        does="Sends the result first and a queue timeout after it.",
        steps=(RESULT, _timeout(payloads.timeout_envelope)),
        state=QueryState.COMPLETED,
        dispositions=("applied", "noted"),
    ),
    Scenario(
        name="never",
        number="600107",
        does="Acknowledges the query and never calls back.",
        state=QueryState.ACKNOWLEDGED,
    ),
    Scenario(
        name="more-follows",
        number="600108",
        does="Sends ResultType 1 (more messages will follow), then the final result.",
        steps=(Step(body=payloads.more_follows), RESULT),
        state=QueryState.COMPLETED,
        dispositions=("noted", "applied"),
    ),
    Scenario(
        name="unreadable",
        number="600109",
        does="Sends ResultCode 0 without an AccountBalance.",
        steps=(Step(body=payloads.without_balance),),
        state=QueryState.ACKNOWLEDGED,
        dispositions=("unreadable",),
    ),
    Scenario(
        name="foreign",
        number="600110",
        does="Sends the result of a payment of another conversation to the address of the query.",
        steps=(Step(body=payloads.of_another),),
        state=QueryState.ACKNOWLEDGED,
        dispositions=("unmatched",),
    ),
)

TIMEOUTS: Final = tuple(
    Scenario(
        name=name,
        number=number,
        does=f"Sends a queue timeout {shape}.",
        steps=(_timeout(body),),
        state=QueryState.TIMED_OUT,
        dispositions=("applied",),
    )
    for name, number, shape, body in (
        ("timeout-envelope", "600120", "in the envelope of a result", payloads.timeout_envelope),
        ("timeout-ids", "600121", "that holds only a conversation id", payloads.timeout_ids),
        ("timeout-echo", "600122", "that repeats our request and its credential", payloads.timeout_echo),
        ("timeout-empty", "600123", "whose body is `{}`", payloads.timeout_empty),
    )
)

ACKNOWLEDGEMENTS: Final = (
    Scenario(
        name="empty-acknowledgement",
        number="600130",
        does="Answers every attempt with an acknowledgement whose fields are all empty, and takes nothing.",
        answer=acknowledge(_empty, reason="empty-acknowledgement"),
        state=QueryState.PENDING,
    ),
    Scenario(
        name="rejected-acknowledgement",
        number="600131",
        does="Answers HTTP 200 with a ResponseCode that is not zero.",
        answer=acknowledge(_rejected, reason=_REJECTED),
        state=QueryState.FAILED,
        refused_code=_REJECTED,
    ),
    Scenario(
        name="no-id",
        number="600132",
        does="Acknowledges without an OriginatorConversationID, and sends the result.",
        answer=acknowledge(_one_id),
        steps=(RESULT,),
        state=QueryState.COMPLETED,
        dispositions=("applied",),
    ),
    Scenario(
        name="typo",
        number="600133",
        does="Acknowledges with an id called `OriginatorCoversationID`, and sends the result.",
        answer=acknowledge(_typo),
        steps=(RESULT,),
        state=QueryState.COMPLETED,
        dispositions=("applied",),
    ),
)
