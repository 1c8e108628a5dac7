"""What Daraja's answers say: a token, an acknowledgement, or one of our faults. Pure."""

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from mpesa_balance.errors import AppRefused, DarajaUnavailable, DarajaUnclear
from worker.faults import code_of, fault, text_of

#: Accepted is any run of zeros, also where it comes as a number.
_ZERO = re.compile(r"0+(\.0+)?", re.ASCII)

#: How long a token is taken to live where Daraja's expires_in cannot be read.
_DEFAULT_EXPIRY: Final = 60
_LONGEST_EXPIRY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and how many seconds it lives."""

    value: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Daraja took the query: its ids, at least one of them given."""

    originator_conversation_id: str | None
    conversation_id: str | None
    code: str
    description: str | None
    http_status: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer as it came."""

    status: int
    body: bytes = field(repr=False)

    def document(self) -> dict[str, Any] | None:
        """The body as a JSON object; None where it is anything else."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None


def read_token(reply: Reply) -> Token:
    """The access token in an answer. Raises AppRefused, DarajaRefused or DarajaUnavailable."""
    document = reply.document()
    token = document.get("access_token") if document else None
    if reply.status == HTTPStatus.OK and isinstance(token, str) and token:
        return Token(token, _seconds(document and document.get("expires_in")))
    # A wrong consumer key is a 400 with an empty body, or 400.008.01.
    if reply.status == HTTPStatus.UNAUTHORIZED or (
        reply.status == HTTPStatus.BAD_REQUEST and (not reply.body or document)
    ):
        raise AppRefused(
            f"Daraja refused the app's consumer key or secret (HTTP {reply.status}): correct them with "
            "`mpesa-balance apps add --replace`",
            code=code_of(document),
            http_status=reply.status,
        )
    raise fault(reply.status, document)


def read_acknowledgement(reply: Reply) -> Acknowledgement:
    """The acceptance in an answer.

    Raises DarajaTokenInvalid, DarajaUnavailable (not taken), DarajaUnclear (perhaps taken) or
    DarajaRefused.
    """
    document = reply.document()
    if not HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
        raise fault(reply.status, document)
    if document is None and not reply.body.lstrip().startswith(b"{"):
        # The gateway in front of Daraja answers 200 with HTML, or with nothing, when it is busy.
        raise DarajaUnavailable("the answer is empty or a web page", http_status=reply.status)
    if document is None:
        raise DarajaUnclear("the acknowledgement was cut short", http_status=reply.status)
    return _acknowledgement(reply, document)


def _acknowledgement(reply: Reply, document: dict[str, Any]) -> Acknowledgement:
    code = text_of(document.get("ResponseCode"))
    # Seen in the wild: OriginatorCoversationID.
    originator = text_of(
        document.get("OriginatorConversationID") or document.get("OriginatorCoversationID")
    )
    conversation = text_of(document.get("ConversationID"))
    if code_of(document) is not None and (code is None or not _ZERO.fullmatch(code)):
        raise fault(reply.status, document)
    if code is None or not (originator or conversation):
        raise DarajaUnclear("the acknowledgement has no code or no id", http_status=reply.status)
    return Acknowledgement(
        originator_conversation_id=originator,
        conversation_id=conversation,
        code=code,
        description=text_of(document.get("ResponseDescription")),
        http_status=reply.status,
    )


def _seconds(value: Any) -> int:
    """expires_in, which is usually the string "3599" and in newer pages a number."""
    text = str(value).strip()
    is_number = re.fullmatch(r"[0-9]{1,5}", text, re.ASCII)
    return int(text) if is_number and 0 < int(text) <= _LONGEST_EXPIRY else _DEFAULT_EXPIRY
