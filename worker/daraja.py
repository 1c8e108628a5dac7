"""Daraja over HTTP. Every foreign fault that can happen here leaves as one of ours."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

import requests
from requests import exceptions
from urllib3.exceptions import NewConnectionError

from mpesa_balance.apps import App
from mpesa_balance.errors import (
    CredentialsRefused,
    DarajaError,
    DarajaRefused,
    DarajaThrottled,
    DarajaTokenInvalid,
    DarajaUnavailable,
    DarajaUnclear,
)
from mpesa_balance.result_codes import Action, action_for
from worker.deadline import DeadlineAdapter

#: Both paths: Daraja's Authorization and Account Balance pages.
TOKEN_PATH: Final = "/oauth/v1/generate?grant_type=client_credentials"  # noqa: S105 - a path
QUERY_PATH: Final = "/mpesa/accountbalance/v1/query"

#: Daraja's answers are under 1 KiB; what is longer is no answer of Daraja.
_LONGEST_BODY: Final = 64 * 1024

#: How long a token is taken to live where Daraja's expires_in cannot be read.
_DEFAULT_EXPIRY: Final = 60

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
        """A new access token. Raises CredentialsRefused, DarajaRefused or DarajaUnavailable."""
        try:
            reply = self._exchange("GET", app.base_url + TOKEN_PATH, auth=_basic(app))
        except DarajaUnclear as error:
            # Minting twice is harmless, so an unclear answer is no answer.
            raise DarajaUnavailable(str(error)) from error
        document = reply.document()
        token = document.get("access_token") if document else None
        if reply.status == requests.codes.ok and isinstance(token, str) and token:
            return Token(token, _seconds(document and document.get("expires_in")))
        # A wrong consumer key is a 400 with an empty body.
        if reply.status in (400, 401, 403):
            raise CredentialsRefused(
                f"Daraja refused the consumer key or secret of app {app.name!r} "
                f"(HTTP {reply.status}): correct them with `mpesa-balance apps add --replace`",
                code=_code(document),
                http_status=reply.status,
            )
        raise _fault(reply, document)

    def ask(self, app: App, token: str, body: dict[str, str]) -> Acknowledgement:
        """Put a query to Daraja.

        Raises DarajaTokenInvalid, DarajaUnavailable (not taken), DarajaUnclear (perhaps taken) or
        DarajaRefused.
        """
        headers = {"Authorization": f"Bearer {token}"}
        reply = self._exchange("POST", app.base_url + QUERY_PATH, headers=headers, json=body)
        document = reply.document()
        if not requests.codes.ok <= reply.status < requests.codes.multiple_choices:
            raise _fault(reply, document)
        if document is None and not reply.body.lstrip().startswith(b"{"):
            # The gateway in front of Daraja answers 200 with HTML, or with nothing, when it is busy.
            raise DarajaUnavailable("the answer is empty or a web page", http_status=reply.status)
        if document is None:
            raise DarajaUnclear("the acknowledgement was cut short", http_status=reply.status)
        return _acknowledgement(reply, document)

    def _exchange(self, method: str, url: str, **options: Any) -> _Reply:
        try:
            with self._session.request(
                method, url, timeout=self._timeout, stream=True, allow_redirects=False, **options
            ) as response:
                return _Reply(response.status_code, _bounded_body(response))
        except _UNUSABLE_ADDRESS as error:
            raise DarajaRefused(f"the app's base URL cannot be used: {type(error).__name__}") from None
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
    code = _text(document.get("ResponseCode"))
    # Seen in the wild: OriginatorCoversationID.
    originator = _text(document.get("OriginatorConversationID") or document.get("OriginatorCoversationID"))
    conversation = _text(document.get("ConversationID"))
    if _code(document) is not None and (code is None or code.strip("0")):
        raise _fault(reply, document)
    if code is None or not (originator or conversation):
        raise DarajaUnclear("the acknowledgement has no code or no id", http_status=reply.status)
    return Acknowledgement(
        originator_conversation_id=originator,
        conversation_id=conversation,
        code=code,
        description=_text(document.get("ResponseDescription")),
        http_status=reply.status,
    )


_FAULTS: Final[dict[Action, type[DarajaError]]] = {
    Action.MINT_TOKEN: DarajaTokenInvalid,
    Action.RETRY: DarajaUnavailable,
    Action.RETRY_LATER: DarajaThrottled,
    Action.REFUSE: DarajaRefused,
    Action.SUSPEND: CredentialsRefused,
}


def _fault(reply: _Reply, document: dict[str, Any] | None) -> DarajaError:
    """The fault in an answer that is no acceptance, by its code, its text and its status."""
    code = _code(document)
    text = _description(document)
    action = action_for(code, text)
    if code is None and action is Action.REFUSE:
        action = _action_of_status(reply.status)
    # Daraja repeats the token in the text of 401.002.01, so that text is not kept.
    said = "the access token was not accepted" if action is Action.MINT_TOKEN else text
    return _FAULTS[action](
        said or f"HTTP {reply.status} without an explanation", code=code, http_status=reply.status
    )


def _action_of_status(status: int) -> Action:
    if status == requests.codes.unauthorized:
        return Action.MINT_TOKEN
    retry = status == requests.codes.too_many_requests or status >= requests.codes.server_error
    return Action.RETRY if retry else Action.REFUSE


def _code(document: dict[str, Any] | None) -> str | None:
    return _text((document or {}).get("errorCode")) or _text((document or {}).get("ResponseCode"))


def _description(document: dict[str, Any] | None) -> str:
    given = document or {}
    return _text(given.get("errorMessage")) or _text(given.get("ResponseDescription")) or ""


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list | bool):
        return None
    return "".join(c for c in str(value).strip()[:1024] if c.isprintable()) or None


def _seconds(value: Any) -> int:
    """expires_in, which is usually the string "3599" and in newer pages a number."""
    text = str(value).strip()
    return int(text) if text.isdecimal() and 0 < int(text) <= 86_400 else _DEFAULT_EXPIRY


def _basic(app: App) -> tuple[str, str]:
    return app.consumer_key, app.consumer_secret
