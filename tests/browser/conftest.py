"""A browser, and the system as `make up` runs it, for tests that look at the console as people do."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.people import Person, password_for
from tests.browser.stored import store_a_month
from tests.conftest import private_folder
from tests.e2e.running import Stack, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: Where Debian has it; another one can be named.
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

#: What a browser says to hosts of its maker by itself has no place in a test.
_QUIETLY = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)

_LINK = re.compile(r"Console: +(\S+) \(once")


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Chromium, without a screen."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "no Chromium is found: install it (Debian: chromium), or name it in CHROMIUM"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_QUIETLY))
        yield started
        started.close()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The whole system, with a month of balances behind it."""
    with private_folder() as folder, running(folder / "state") as started:
        store_a_month(started)
        yield started


@pytest.fixture(scope="module")
def link(stack: Stack) -> str:
    """The one-time link that the stack has printed, which each module uses once."""
    found = _LINK.search(stack.log)
    assert found, stack.log
    return found[1]


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A new window of somebody who is not signed in; whatever its console complains of fails the test."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    context.set_default_timeout(20_000)
    opened = context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if _is_a_complaint(said) else None)
    yield opened
    context.close()
    assert complaints == []


def _is_a_complaint(said: Any) -> bool:
    # A status of 400 or more is what several tests are about. A stream that has ended is opened again by
    # the browser, and htmx remarks on that.
    expected = ("Failed to load resource", "[object Event]")
    return said.type == "error" and not any(words in said.text for words in expected)


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the pages go: into the docs where SCREENSHOTS names that folder."""
    named = os.environ.get("SCREENSHOTS")
    return Path(named) if named else tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module")
def administrator(browser: "Browser", link: str) -> Person:
    """The first administrator, who has set his password by the link."""
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(link)
    opened.get_by_label("Password").fill(password_for("admin"))
    opened.get_by_label("The same again").fill(password_for("admin"))
    opened.get_by_role("button", name="Set it and sign in").click()
    opened.get_by_role("heading", name="Balances now").wait_for()
    context.close()
    return Person("admin", link.partition("/welcome/")[0])
