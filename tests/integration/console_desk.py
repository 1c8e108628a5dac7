"""The console over real HTTP, as a test starts it, and people who come to it with a browser or a token."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import requests
from werkzeug.serving import WSGIRequestHandler, make_server

from mpesa_balance.people import administration, links, password_hashes
from mpesa_balance.people.roles import Role
from mpesa_balance.settings import ConsoleSettings, OidcSettings, WorkerSettings
from ops.console.app import create_app
from ops.console.desk import EXTENSION
from worker.house import House

PASSWORD = "seventeen zebras at noon"

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass(frozen=True)
class Console:
    """A console that answers, and the house whose balances it shows."""

    url: str
    house: House

    def add(
        self, name: str, role: Role = Role.ADMINISTRATOR, shortcodes: tuple[str, ...] | None = None
    ) -> str:
        """Make an account; gives its one-time link."""
        with self.house.database.transaction() as connection:
            return self.url + administration.add(connection, "test", name, role, shortcodes)

    def token(self, name: str, days: int = 1) -> str:
        """An API token of an account."""
        with self.house.database.transaction() as connection:
            return administration.make_token(connection, "test", name, "test", days)

    def browser(
        self, name: str, role: Role = Role.ADMINISTRATOR, shortcodes: tuple[str, ...] | None = None
    ) -> "Browser":
        """A new person who has signed in."""
        link = self.add(name, role, shortcodes).removeprefix(f"{self.url}{administration.WELCOME}")
        with self.house.database.transaction() as connection:
            links.use(connection, link, HASHED)
        browser = Browser(self.url)
        # To a page without balances: no look of his is on record yet.
        browser.get("/sign-in?next=/account")
        assert browser.sign_in(name).url == f"{self.url}/account"
        return browser

    def programme(
        self, name: str, role: Role = Role.ADMINISTRATOR, shortcodes: tuple[str, ...] | None = None
    ) -> "Browser":
        """A new service that comes with a token."""
        self.add(name, role, shortcodes)
        browser = Browser(self.url)
        browser.session.headers["Authorization"] = f"Bearer {self.token(name)}"
        return browser


class Browser:
    """Keeps cookies, follows redirects, and sends the token of the page that a form stands on."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=30, **options)

    def post(self, path: str, *, page: str = "/account", **options: Any) -> requests.Response:
        """Send a form as the page does on which it stands."""
        data = {"csrf_token": self.csrf_token(page)} | options.pop("data", {})
        return self.session.post(self.url + path, data=data, timeout=30, **options)

    def csrf_token(self, page: str) -> str:
        """The token of the forms on a page."""
        found = _TOKEN.search(self.get(page).text)
        assert found, page
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD) -> requests.Response:
        """Type name and password."""
        return self.post("/sign-in", page="/sign-in", data={"name": name, "password": password})

    def call(self, path: str, **options: Any) -> requests.Response:
        """Call the API."""
        return self.get(f"/api/v1{path}", **options)


#: Made once: it is meant to take long.
HASHED = password_hashes.hashed(PASSWORD, "anybody")


def settings_of(settings: WorkerSettings, url: str, oidc: OidcSettings | None = None) -> ConsoleSettings:
    """The settings of a console beside a worker."""
    return ConsoleSettings(
        database=replace(settings.database, pool_size=6),
        broker=settings.broker,
        url=url,
        keys=(b"k" * 32,),
        trusted_hops=0,
        oidc=oidc,
        log_level="INFO",
    )


class _Quiet(WSGIRequestHandler):
    """Says nothing of each request: the test does."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@contextmanager
def answering(house: House, oidc: OidcSettings | None = None, port: int = 0) -> Iterator[Console]:
    """A console that answers on loopback until the end of the block."""
    app = create_app(settings_of(house.settings, "http://127.0.0.1:1", oidc))
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    desk = app.extensions[EXTENSION]
    url = f"http://127.0.0.1:{server.server_port}"
    app.extensions[EXTENSION] = replace(desk, settings=replace(desk.settings, url=url))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Console(url, house)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        desk.client.close()
        desk.database.close()
