"""Daraja over HTTP. Every foreign fault that can happen here leaves as one of ours."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

import requests
from requests import exceptions
from urllib3.exceptions import LocationParseError, NewConnectionError

from mpesa_balance.apps import App
from mpesa_balance.errors import (
    AppRefused,
    DarajaError,
    DarajaRefused,
    DarajaUnavailable,
    DarajaUnclear,
)
from worker.deadline import DeadlineAdapter
from worker.faults import code_of, fault, text_of

#: Both paths: Daraja's Authorization and Account Balance pages.
TOKEN_PATH: Final = "/oauth/v1/generate?grant_type=client_credentials"  # noqa: S105 - a path
QUERY_PATH: Final = "/mpesa/accountbalance/v1/query"

#: Daraja's answers are under 1 KiB; what is longer is no answer of Daraja.
_LONGEST_BODY: Final = 64 * 1024

#: How long connecting to one address may take.
_CONNECT_SECONDS: Final = 3.0

#: Accepted is any run of zeros, also where it comes as a number.
_ZERO = re.compile(r"0+(\.0+)?", re.ASCII)

#: How long a token is taken to live where Daraja's expires_in cannot be read.
_DEFAULT_EXPIRY: Final = 60
_LONGEST_EXPIRY: Final = 86_400

#: What leaves requests before a request has left us.
_NOT_SENT: Final = (
    exceptions.ConnectTimeout,
    exceptions.SSLError,
    exceptions.ProxyError,
    exceptions.RetryError,
)

#: What requests raises for an address that it cannot use at all.
_UNUSABLE_ADDRESS: Final = (
    exceptions.InvalidURL,
    exceptions.InvalidSchema,
    exceptions.MissingSchema,
    exceptions.InvalidHeader,
    exceptions.UnrewindableBodyError,
    exceptions.TooManyRedirects,
)


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
class _Reply:
    status: int
    body: bytes = field(repr=False)

    def document(self) -> dict[str, Any] | None:
        """The body as a JSON object; None where it is anything else."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None


class Daraja:
    """Pooled connections to any number of Daraja apps; every exchange ends within `timeout`."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._session = requests.Session()
        # A proxy or a .netrc of the host must not see or change what is sent to M-PESA.
        self._session.trust_env = False
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, DeadlineAdapter(timeout, pool_maxsize=16))

    def mint(self, app: App) -> Token:
        """A new access token. Raises AppRefused, DarajaRefused or DarajaUnavailable."""
        try:
            reply = self._exchange("GET", app.base_url + TOKEN_PATH, auth=_basic(app))
        except DarajaUnclear as error:
            # Minting twice is harmless, so an unclear answer is no answer.
            raise DarajaUnavailable(str(error)) from error
        document = reply.document()
        token = document.get("access_token") if document else None
        if reply.status == requests.codes.ok and isinstance(token, str) and token:
            return Token(token, _seconds(document and document.get("expires_in")))
        # A wrong consumer key is a 400 with an empty body, or 400.008.01.
        if reply.status == requests.codes.unauthorized or (
            reply.status == requests.codes.bad_request and (not reply.body or document)
        ):
            raise AppRefused(
                f"Daraja refused the consumer key or secret of app {app.name!r} "
                f"(HTTP {reply.status}): correct them with `mpesa-balance apps add --replace`",
                code=code_of(document),
                http_status=reply.status,
            )
        raise fault(reply.status, document)

    def ask(self, app: App, token: str, body: dict[str, str]) -> Acknowledgement:
        """Put a query to Daraja.

        Raises DarajaTokenInvalid, DarajaUnavailable (not taken), DarajaUnclear (perhaps taken) or
        DarajaRefused.
        """
        headers = {"Authorization": f"Bearer {token}"}
        reply = self._exchange("POST", app.base_url + QUERY_PATH, headers=headers, json=body)
        document = reply.document()
        if not requests.codes.ok <= reply.status < requests.codes.multiple_choices:
            raise fault(reply.status, document)
        if document is None and not reply.body.lstrip().startswith(b"{"):
            # The gateway in front of Daraja answers 200 with HTML, or with nothing, when it is busy.
            raise DarajaUnavailable("the answer is empty or a web page", http_status=reply.status)
        if document is None:
            raise DarajaUnclear("the acknowledgement was cut short", http_status=reply.status)
        return _acknowledgement(reply, document)

    def _exchange(self, method: str, url: str, **options: Any) -> _Reply:
        try:
            with self._session.request(
                method,
                url,
                timeout=(min(_CONNECT_SECONDS, self._timeout), self._timeout),
                stream=True,
                allow_redirects=False,
                **options,
            ) as response:
                return _Reply(response.status_code, _bounded_body(response))
        except (*_UNUSABLE_ADDRESS, LocationParseError, UnicodeError) as error:
            raise DarajaRefused(
                f"the app's base URL or its credentials cannot be sent: {type(error).__name__}"
            ) from None
        except exceptions.RequestException as error:
            raise _connection_fault(error) from None


def _bounded_body(response: requests.Response) -> bytes:
    body = b""
    for chunk in response.iter_content(8192):
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise DarajaUnclear("the answer is too long to be Daraja's", http_status=response.status_code)
    return body


def _connection_fault(error: exceptions.RequestException) -> DarajaError:
    # The text of requests' errors can hold the address with its token, so only the kind is told.
    kind = type(error).__name__
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, _NOT_SENT) or isinstance(reason, NewConnectionError):
        return DarajaUnavailable(f"Daraja cannot be reached ({kind})")
    return DarajaUnclear(f"Daraja did not finish its answer ({kind})")


def _acknowledgement(reply: _Reply, document: dict[str, Any]) -> Acknowledgement:
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


def _basic(app: App) -> tuple[str, str]:
    return app.consumer_key, app.consumer_secret
