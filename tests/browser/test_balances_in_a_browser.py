"""Balances, a shortcode and a query, as somebody looks at them in Chromium while `make up` runs behind."""

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.browser.people import Person, violations
from tests.e2e.running import Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

#: What an element that has the focus is called.
_NAME = "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"


def test_a_fresh_balance_arrives_while_the_page_is_open(
    page: "Page", administrator: Person, stack: Stack, screenshots: Path
) -> None:
    administrator.sign_in(page)
    row = page.locator("#shortcode-600000")
    before = row.locator("time").get_attribute("datetime")
    # What is on this page now is gone where the page is loaded anew.
    page.evaluate("window.isTheSamePage = true")
    row.get_by_role("button", name="Ask for the balance of 600000").click()
    page.wait_for_function(
        "before => document.querySelector('#shortcode-600000 time').dateTime !== before", arg=before
    )
    assert page.evaluate("window.isTheSamePage") is True
    assert row.locator("svg.sparkline").count() >= 3
    row.get_by_text("Working Account").wait_for()
    page.screenshot(path=screenshots / "balances.png")
    assert violations(page) == []


def test_a_balance_that_somebody_else_asks_for_arrives_too(
    page: "Page", administrator: Person, stack: Stack
) -> None:
    administrator.sign_in(page)
    before = page.locator("#shortcode-600000 time").get_attribute("datetime")
    stack.query()
    page.wait_for_function(
        "before => document.querySelector('#shortcode-600000 time').dateTime !== before", arg=before
    )


def test_a_shortcode_is_drawn_with_its_threshold_and_a_part_of_it_in_full(
    page: "Page", administrator: Person, stack: Stack, screenshots: Path
) -> None:
    added = stack.command(
        *("alerts", "rules", "add", "below", "--shortcode", "600000", "--account", "Working Account"),
        *("--threshold", "100000"),
    )
    assert added.returncode == 0, added.stderr
    administrator.sign_in(page, "/shortcodes/600000")
    plots = page.locator("#plots")
    page.wait_for_selector("#plots[data-shown='30d']")
    assert plots.locator("canvas").count() >= 3
    plots.get_by_text("below 100,000").first.wait_for()
    page.get_by_text("queries go through").wait_for()
    page.screenshot(path=screenshots / "shortcode.png", full_page=True)
    assert violations(page) == []
    over = plots.locator(".u-over").first
    over.scroll_into_view_if_needed()
    place = over.bounding_box()
    assert place
    page.mouse.move(place["x"] + 40, place["y"] + 60)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + 60, steps=5)
    page.mouse.up()
    page.wait_for_selector("#plots[data-shown='part']")
    page.keyboard.press("Escape")
    page.wait_for_selector("#plots[data-shown='30d']")
    page.get_by_role("button", name="a year").click()
    page.wait_for_selector("#plots[data-shown='365d']")
    # Without a mouse as well.
    page.get_by_role("button", name="Closer").press("Enter")
    page.wait_for_selector("#plots[data-shown='part']")
    for move in ("Earlier", "Later", "Wider"):
        page.get_by_role("button", name=move).press("Enter")
    page.keyboard.press("Escape")
    page.wait_for_selector("#plots[data-shown='365d']")


def test_a_query_tells_its_whole_story_also_while_it_is_told(
    page: "Page", administrator: Person, stack: Stack, screenshots: Path
) -> None:
    asked = stack.command("query", "600000", "--force", "--json")
    request_id = asked.stdout.split('"request_id": "')[1].split('"')[0]
    administrator.sign_in(page, "/queries")
    page.goto(f"{administrator.url}/queries/{request_id}")
    # It may be open still; then the page follows it.
    page.locator("h1 .badge.good").wait_for()
    for word in ("asked", "submitted", "acknowledged", "callback", "completed"):
        page.locator(".timeline").get_by_text(word, exact=True).first.wait_for()
    page.get_by_role("heading", name="Attempts").wait_for()
    page.screenshot(path=screenshots / "query.png", full_page=True)
    assert violations(page) == []


def test_a_refusal_is_told_where_it_was_asked(page: "Page", administrator: Person, stack: Stack) -> None:
    administrator.sign_in(page)
    # Suspended after the page was loaded, so that its button can still be pressed.
    assert stack.command("shortcodes", "suspend", "600000", "--because", "a test").returncode == 0
    try:
        page.get_by_role("button", name="Ask for the balance of 600000").click()
        page.locator("#asked-600000 [role=alert]").get_by_text("suspended").wait_for()
    finally:
        stack.command("shortcodes", "resume", "600000")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: "Browser", administrator: Person, screenshots: Path, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    administrator.sign_in(page)
    for path in ("/", "/shortcodes/600000", "/queries", "/reconciliations", "/exports", "/people"):
        page.goto(administrator.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert (path, wide) == (path, 0)
        assert violations(page) == []
    page.goto(administrator.url)
    page.screenshot(path=screenshots / f"phone-{scheme}.png")
    context.close()


def test_everything_can_be_reached_by_the_keyboard(page: "Page", administrator: Person) -> None:
    administrator.sign_in(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(_NAME))
    assert {"Find a shortcode", "600000", "Ask for the balance of 600000"} <= reached


def test_a_row_that_is_replaced_keeps_the_focus_and_is_told_of(
    page: "Page", administrator: Person, stack: Stack
) -> None:
    administrator.sign_in(page)
    page.get_by_role("button", name="Ask for the balance of 600000").focus()
    stack.query()
    page.get_by_text("600000 has changed").wait_for(state="attached")
    assert page.evaluate(_NAME) == "Ask for the balance of 600000"


def test_every_look_is_in_the_audit_trail(page: "Page", administrator: Person, stack: Stack) -> None:
    administrator.sign_in(page)
    with psycopg.connect(stack.env["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT actor, action, subject FROM audit ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert row == ("console:admin", "balance_shown", "600000")
