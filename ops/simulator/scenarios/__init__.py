"""Every scenario of the simulator in one table: what it does, and what is right to make of it."""

from collections.abc import Mapping
from typing import Final

from ops.simulator.scenarios.behaviours import ACKNOWLEDGEMENTS, RESULTS, SUCCESS, TIMEOUTS
from ops.simulator.scenarios.gateway_errors import GATEWAY_ERRORS
from ops.simulator.scenarios.refusals import LOCKED, REFUSALS, WRONG_CREDENTIALS
from ops.simulator.scenarios.scenario import Moment, Scenario, Step

__all__ = [
    "BY_NAME",
    "BY_NUMBER",
    "INITIATOR_LOCKED",
    "INITIATOR_REFUSED",
    "SCENARIOS",
    "SUCCESS",
    "Moment",
    "Scenario",
    "Step",
]

SCENARIOS: Final = (*RESULTS, *TIMEOUTS, *ACKNOWLEDGEMENTS, *REFUSALS, *GATEWAY_ERRORS)

BY_NAME: Final[Mapping[str, Scenario]] = {one.name: one for one in SCENARIOS}

#: Shortcodes with a scenario of their own. Every other one has the default, which is a success.
BY_NUMBER: Final[Mapping[str, Scenario]] = {one.number: one for one in SCENARIOS if one is not SUCCESS}

#: What M-PESA plays instead of any scenario where it does not accept who asks.
INITIATOR_REFUSED: Final = BY_NAME[f"result-{WRONG_CREDENTIALS}"]
INITIATOR_LOCKED: Final = BY_NAME[f"result-{LOCKED}"]
