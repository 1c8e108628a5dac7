"""People at the console, as a test has them sign in and look."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page


@dataclass(frozen=True)
class Person:
    """Somebody who has a password, and where the console is."""

    name: str
    url: str

    def sign_in(self, page: "Page", path: str = "/") -> None:
        """Come to a page by way of the door."""
        page.goto(self.url + path)
        page.get_by_label("Name").fill(self.name)
        page.get_by_label("Password").fill(password_for(self.name))
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(self.url + path)


def password_for(name: str) -> str:
    """A good one."""
    return f"eleven geese follow {name[::-1]}"


def violations(page: "Page") -> list[tuple[str, Any]]:
    """What axe finds wrong with a page, and where: WCAG 2.2 A and AA, and axe's own good practice."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
