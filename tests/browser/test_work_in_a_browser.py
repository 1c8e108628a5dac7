"""Inbox, reconciliation, exports and people, as somebody works with them in Chromium."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import requests

from mpesa_balance.callback_urls import CallbackSigner
from mpesa_balance.results import EAST_AFRICA
from mpesa_balance.sealing import parse_key
from tests.browser.people import Person, password_for, violations
from tests.e2e.running import Stack
from tests.integration.answers import success
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def test_a_callback_that_nobody_waits_for_is_judged_again(
    page: "Page", administrator: Person, stack: Stack, screenshots: Path
) -> None:
    signer = CallbackSigner((parse_key(stack.env["CALLBACK_KEYS"]),))
    address = signer.urls(stack.env["WEBHOOKS_URL"], uuid4())["result"]
    assert requests.post(address, data=success(), timeout=10).status_code == 200
    administrator.sign_in(page, "/inbox")
    assert eventually(lambda: page.reload() and page.get_by_text("unmatched").count() > 1, seconds=90)
    page.screenshot(path=screenshots / "inbox.png")
    assert violations(page) == []
    page.locator("tbody a").first.click()
    page.get_by_role("button", name="Show its bytes, on record").click()
    page.locator("pre").get_by_text("AccountBalance").wait_for()
    page.get_by_role("button", name="Judge it again").click()
    page.get_by_text("unmatched → unmatched").wait_for()
    assert violations(page) == []


def local(instant: datetime) -> str:
    """As a field for date and time takes it."""
    return instant.astimezone(EAST_AFRICA).strftime("%Y-%m-%dT%H:%M")


def test_a_month_is_set_against_the_book_and_downloaded(
    page: "Page", administrator: Person, tmp_path: Path, screenshots: Path
) -> None:
    now = datetime.now(UTC)
    book = tmp_path / "book.csv"
    moved = (now - timedelta(days=8)).isoformat()
    book.write_text(f"at,account,amount,reference\n{moved},Working Account,0.01,A1\n")
    administrator.sign_in(page, "/reconciliations")
    page.get_by_label("Shortcode").fill("600000")
    page.get_by_label("From").fill(local(now - timedelta(days=10)))
    page.get_by_label("To", exact=True).fill(local(now - timedelta(days=1)))
    page.get_by_label("Ledger").set_input_files(book)
    assert violations(page) == []
    page.get_by_role("button", name="Reconcile").click()
    page.get_by_role("heading", name="Reconciliation of 600000").wait_for()
    page.get_by_text("console:admin").wait_for()
    page.screenshot(path=screenshots / "reconciliation.png", full_page=True)
    assert violations(page) == []
    for kind, beginning in (("CSV", b"\xef\xbb\xbf"), ("XLSX", b"PK"), ("PDF", b"%PDF")):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        assert download.value.path().read_bytes().startswith(beginning)


def test_balances_are_exported_as_a_file(page: "Page", administrator: Person, screenshots: Path) -> None:
    administrator.sign_in(page, "/exports")
    page.screenshot(path=screenshots / "exports.png")
    assert violations(page) == []
    page.get_by_label("Shortcode").fill("600000")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "balances-600000.csv"
    text = download.value.path().read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len({one["query_id"] for one in rows}) >= 7
    assert all(datetime.fromisoformat(one["as_of"]).tzinfo for one in rows)


def test_a_till_manager_is_let_in_by_a_link_and_sees_his_till_only(
    page: "Page", browser: "Browser", administrator: Person, stack: Stack, screenshots: Path
) -> None:
    added = stack.command(
        *("shortcodes", "add", "600123", "--app", "simulator", "--identifier-type", "4"),
        *("--initiator", "testapi"),
        MPESA_INITIATOR_PASSWORD="whatever1",
    )
    assert added.returncode == 0, added.stderr
    administrator.sign_in(page, "/people")
    page.get_by_text("Add somebody").click()
    page.get_by_label("Name").fill("till")
    page.get_by_label("Role").select_option("operator")
    page.get_by_label("Only these:").check()
    page.get_by_label("Shortcodes that may be seen").fill("600123")
    page.screenshot(path=screenshots / "people.png", full_page=True)
    assert violations(page) == []
    page.get_by_role("button", name="Add, and make a link").click()
    link = page.locator("#link").inner_text()
    assert violations(page) == []
    his = browser.new_context().new_page()
    his.goto(link)
    assert violations(his) == []
    his.get_by_label("Password").fill(password_for("till"))
    his.get_by_label("The same again").fill(password_for("till"))
    his.get_by_role("button", name="Set it and sign in").click()
    his.get_by_role("heading", name="Balances now").wait_for()
    assert his.locator("tbody").count() == 1
    his.get_by_text("600123").wait_for()
    his.goto(f"{administrator.url}/shortcodes/600000")
    his.get_by_text("is not among those that till may see").wait_for()
    assert violations(his) == []
    his.context.close()


def test_an_alert_is_known_by_whoever_says_so(page: "Page", administrator: Person, stack: Stack) -> None:
    added = stack.command("alerts", "rules", "add", "above", "--threshold", "1", "--shortcode", "600000")
    assert added.returncode == 0, added.stderr
    stack.query()
    administrator.sign_in(page, "/alerts")
    # Others of this stack may have left some that are over as soon as they are known.
    above = page.get_by_role("row").filter(has_text="above its threshold")
    known = above.get_by_role("button", name="I know")
    assert eventually(lambda: page.reload() and known.count(), seconds=90)
    assert violations(page) == []
    known.first.click()
    above.get_by_text("to admin").first.wait_for()


def test_a_token_that_was_made_on_the_page_opens_the_api(page: "Page", administrator: Person) -> None:
    administrator.sign_in(page, "/account")
    page.get_by_label("What for").fill("payroll")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator("#token").inner_text()
    assert violations(page) == []
    answer = requests.get(
        f"{administrator.url}/api/v1/balances", headers={"Authorization": f"Bearer {token}"}, timeout=10
    )
    assert answer.json()[0]["shortcode"] == "600000"


def test_signing_in_and_out(page: "Page", administrator: Person, screenshots: Path) -> None:
    page.goto(administrator.url)
    page.screenshot(path=screenshots / "sign-in.png")
    assert violations(page) == []
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("alert").get_by_text("do not belong together").wait_for()
    administrator.sign_in(page)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto(f"{administrator.url}/queries")
    page.get_by_role("heading", name="Sign in").wait_for()
