"""A provider of single sign-on that is nobody's, and browsers that come by way of it."""

import base64
import json
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask, Response, request

from mpesa_balance.settings import OidcSettings
from tests.integration.answers import rows
from tests.integration.console_desk import Browser, Console

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from oidc_provider_mock import run_server_in_thread

SECRET = "canary-of-the-client"
ALICE = "alice@example.com"

#: The loggers of the provider of this test, which tells what it gives, and of the servers.
PROVIDERS = ("oidc_provider_mock", "authlib.oauth2.rfc6749", "werkzeug")

Document = dict[str, Any]


@dataclass
class Provider:
    """Knows whom a test makes known, and remembers what it was asked for and gave."""

    issuer: str
    asked: list[Document] = field(default_factory=list)
    gave: list[Document] = field(default_factory=list)
    #: What becomes of the tokens that it gives, and the status that it gives them with.
    forged: Callable[[Document], Document] = lambda tokens: tokens
    status: int = 200

    def knows(self, subject: str, **claims: object) -> None:
        claims = {"email": ALICE, "email_verified": True} | claims
        assert requests.put(f"{self.issuer}/users/{subject}", json=claims, timeout=10).status_code == 204

    def settings(self, name_claim: str = "email") -> OidcSettings:
        return OidcSettings(
            issuer=self.issuer, client_id="console", client_secret=SECRET, name_claim=name_claim
        )

    def watch(self, app: Flask) -> None:
        """Look at what it is asked for a token, and at what it gives."""

        def give(response: Response) -> Response:
            if request.path == "/oauth2/token":
                self.asked.append(request.form.to_dict())
                self.gave.append(response.get_json())
                response.set_data(json.dumps(self.forged(response.get_json())))
                response.status_code = self.status
            return response

        app.after_request(give)


@contextmanager
def answering_provider() -> Iterator[Provider]:
    """One that answers on loopback until the end of the block."""
    with run_server_in_thread() as server:
        made = Provider(f"http://localhost:{server.server_port}")
        made.watch(server.app)  # type: ignore[arg-type]
        yield made


def agree(browser: Browser, subject: str, **options: Any) -> requests.Response:
    """Go to the provider as this subject, and with what it says back to the console."""
    form = browser.get("/sign-in/single")
    assert urlsplit(form.url).path == "/oauth2/authorize", form.text
    return browser.session.post(form.url, data={"sub": subject}, timeout=30, **options)


def come(console: Console, subject: str = "sub-1") -> requests.Response:
    """What a new browser ends with that comes as this subject."""
    return agree(Browser(console.url), subject)


def way_back(browser: Browser, subject: str = "sub-1") -> str:
    """Where the provider sends a browser that does not follow."""
    return agree(browser, subject, allow_redirects=False).headers["Location"]


def refused(console: Console, response: requests.Response, reason: str, status: int = 401) -> None:
    """Check that nobody got in, and that this is why."""
    assert response.status_code == status, response.text
    assert reason in response.text
    assert rows(console.house, "SELECT FROM sessions") == []


def inside(cookie: str) -> str:
    """What a cookie of Flask's holds, which its owner can read."""
    body = cookie.removeprefix(".").split(".")[0]
    opened = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    return (zlib.decompress(opened) if cookie.startswith(".") else opened).decode()
