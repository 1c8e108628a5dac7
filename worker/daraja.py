"""Daraja over HTTP. Every foreign fault that can happen here leaves as one of ours."""

from typing import Any, Final

import requests
from requests import exceptions
from urllib3.exceptions import LocationParseError, NewConnectionError

from mpesa_balance.apps import App
from mpesa_balance.beginnings import TOGETHER
from mpesa_balance.errors import (
    DarajaError,
    DarajaRefused,
    DarajaUnavailable,
    DarajaUnclear,
)
from worker import metrics
from worker.answers import Acknowledgement, Reply, Token, read_acknowledgement, read_token
from worker.deadline import DeadlineAdapter

#: Both paths: Daraja's Authorization and Account Balance pages.
TOKEN_PATH: Final = "/oauth/v1/generate?grant_type=client_credentials"  # noqa: S105 - a path
QUERY_PATH: Final = "/mpesa/accountbalance/v1/query"

#: Daraja's answers are under 1 KiB; what is longer is no answer of Daraja.
_LONGEST_BODY: Final = 64 * 1024

#: How long connecting to one address may take.
_CONNECT_SECONDS: Final = 3.0

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


class Daraja:
    """Pooled connections to any number of Daraja apps; every exchange ends within `timeout`."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._session = requests.Session()
        # A proxy or a .netrc of the host must not see or change what is sent to M-PESA.
        self._session.trust_env = False
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, DeadlineAdapter(timeout, pool_maxsize=TOGETHER))

    def mint(self, app: App) -> Token:
        """A new access token. Raises AppRefused, DarajaRefused or DarajaUnavailable."""
        try:
            reply = self._exchange("GET", app.base_url + TOKEN_PATH, auth=_basic(app))
        except DarajaUnclear as error:
            # Minting twice is harmless, so an unclear answer is no answer.
            raise DarajaUnavailable(str(error)) from error
        return read_token(reply)

    def ask(self, app: App, token: str, body: dict[str, str]) -> Acknowledgement:
        """Put a query to Daraja.

        Raises DarajaTokenInvalid, DarajaUnavailable (not taken), DarajaUnclear (perhaps taken) or
        DarajaRefused.
        """
        headers = {"Authorization": f"Bearer {token}"}
        reply = self._exchange("POST", app.base_url + QUERY_PATH, headers=headers, json=body)
        return read_acknowledgement(reply)

    def _exchange(self, method: str, url: str, **options: Any) -> Reply:
        with metrics.exchange("token" if method == "GET" else "query") as exchange:
            reply = self._reply(method, url, **options)
            exchange.status = reply.status
            return reply

    def _reply(self, method: str, url: str, **options: Any) -> Reply:
        try:
            with self._session.request(
                method,
                url,
                timeout=(min(_CONNECT_SECONDS, self._timeout), self._timeout),
                stream=True,
                allow_redirects=False,
                **options,
            ) as response:
                return Reply(response.status_code, _bounded_body(response))
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


def _basic(app: App) -> tuple[str, str]:
    return app.consumer_key, app.consumer_secret
