"""Shortcodes 6002xx: a result for each code of M-PESA that is no success."""

from collections.abc import Iterator
from typing import Final

from mpesa_balance.result_codes import TABLE, Action, Where
from mpesa_balance.states import QueryState
from ops.simulator.payloads import refused
from ops.simulator.scenarios.scenario import Scenario, Step

BLOCK: Final = "6002"

#: What M-PESA says where the initiator is unknown or its password wrong, and where it is locked.
WRONG_CREDENTIALS: Final = "2001"
LOCKED: Final = "8006"

#: Codes below this are the end of their own shortcode; the others are numbered from here on.
_FIRST_FREE: Final = 60


def _scenarios() -> Iterator[Scenario]:
    free = _FIRST_FREE
    for row in TABLE:
        if row.where is not Where.RESULT or row.action is Action.GO_ON:
            continue
        is_short = row.code.isdecimal() and int(row.code) < _FIRST_FREE
        often = "once" if row.is_retryable else "each time"
        yield Scenario(
            name=f"result-{row.code}",
            number=f"{BLOCK}{int(row.code) if is_short else free:02}",
            does=f"Sends result {row.code} {often}: {row.meaning}.",
            steps=(Step(body=refused(row.code, row.meaning)),),
            passes=row.is_retryable,
            state=QueryState.FAILED,
            dispositions=("applied",),
            refused_code=row.code,
            retried=row.is_retryable,
        )
        free += not is_short


REFUSALS: Final = tuple(_scenarios())
