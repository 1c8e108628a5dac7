"""Shortcodes 6003xx: what comes from the gateway instead of an acknowledgement.

Codes, texts and statuses as the error tables of Daraja's pages and other integrators give them.
"""

from collections.abc import Iterator
from typing import Final

from mpesa_balance.states import QueryState
from ops.simulator import answers
from ops.simulator.answers import refuse, show
from ops.simulator.scenarios.behaviours import RESULT
from ops.simulator.scenarios.scenario import Scenario

_INCAPSULA: Final = "Request unsuccessful. Incapsula incident ID: 173000240624511593-8199"
_INCAPSULA_PAGE: Final = (
    '<html style="height:100%"><head><META NAME="ROBOTS" CONTENT="NOINDEX, NOFOLLOW">'
    '<meta name="format-detection" content="telephone=no"></head><body style="margin:0px;height:100%">'
    '<iframe id="main-iframe" src="/_Incapsula_Resource?CWUDNSAI=9&incident_id=173000240624511593-8199" '
    f'frameborder=0 width="100%" height="100%">{_INCAPSULA}</iframe></body></html>'
)

#: Daraja repeats the token of the request here.
_REPEATED: Final = "Error Occurred - Invalid Access Token - {token}"
_DUPLICATE: Final = "Duplicate OriginatorConversationID"

#: These pass: a new token, or another attempt later, is taken.
_PASSING: Final = (
    ("http-404.001.03", "600300", answers.INVALID_TOKEN),
    ("http-401.002.01", "600301", refuse(401, "401.002.01", _REPEATED)),
    ("http-400.003.01", "600302", refuse(400, "400.003.01", "Invalid Access Token")),
    ("http-no-apiproduct", "600303", answers.no_product()),
    ("http-500.003.02", "600310", answers.SPIKE_ARREST),
    ("http-500.003.03", "600311", answers.QUOTA),
    ("http-500.003.1001", "600312", refuse(500, "500.003.1001", "Internal Server Error")),
    ("http-500.002.1001", "600313", refuse(500, "500.002.1001", "System internal error.")),
    ("http-00.002.1001", "600314", answers.MAINTENANCE),
    ("http-502", "600315", show(502, "<html>bad gateway</html>", "http-502")),
    ("http-503", "600316", show(503, _INCAPSULA, "http-503")),
    ("html", "600317", show(200, _INCAPSULA_PAGE, "html")),
    ("empty-200", "600318", show(200, "", "empty-200", "application/json")),
)

#: These are for good.
_FINAL: Final = (
    ("http-400.002.02-initiator", "600330", answers.invalid_field("Initiator")),
    ("http-400.002.02-initiatorname", "600331", answers.invalid_field("InitiatorName")),
    ("http-400.002.02-securitycredential", "600332", answers.invalid_field("SecurityCredential")),
    ("http-400.002.02-remarks", "600333", answers.invalid_field("Remarks")),
    ("http-400.002.05", "600334", answers.INVALID_PAYLOAD),
    ("http-404.001.01", "600335", refuse(404, "404.001.01", "Resource not found")),
    ("http-404.002.01", "600336", refuse(404, "404.002.01", "Resource not found")),
    ("http-404.003.01", "600337", refuse(404, "404.003.01", "Resource not found")),
    ("http-405.001", "600338", refuse(405, "405.001", "Method Not Allowed")),
    ("http-500.001.1001", "600339", refuse(500, "500.001.1001", "Wrong credentials")),
    ("http-500.002.1001-duplicate", "600340", refuse(500, "500.002.1001", _DUPLICATE)),
)

#: M-PESA has taken these queries, which their sender cannot know.
_UNCLEAR: Final = (
    ("truncated", "600350", answers.TRUNCATE),
    ("drip", "600351", answers.DRIP),
    ("reset", "600352", answers.RESET),
)


def _scenarios() -> Iterator[Scenario]:
    for name, number, answer in _PASSING:
        yield Scenario(
            name=name,
            number=number,
            does=f"Answers the first submission with {answer.says}, and takes the next.",
            answer=answer,
            passes=True,
            state=QueryState.COMPLETED,
            dispositions=("applied",),
        )
    for name, number, answer in _FINAL:
        yield Scenario(
            name=name,
            number=number,
            does=f"Answers every submission with {answer.says}.",
            answer=answer,
            state=QueryState.FAILED,
            refused_code=answer.reason,
        )
    for name, number, answer in _UNCLEAR:
        yield Scenario(
            name=name,
            number=number,
            does=f"Takes the query and sends its balances, but {answer.says}.",
            answer=answer,
            steps=(RESULT,),
            state=QueryState.COMPLETED,
            dispositions=("applied",),
        )


GATEWAY_ERRORS: Final = tuple(_scenarios())
