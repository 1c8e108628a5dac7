"""Pages that follow what changes: they hear of every move once it is committed, and of nobody else's."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
import requests

from mpesa_balance import happened, shortcodes
from mpesa_balance.database import Connection
from mpesa_balance.people.roles import Role
from ops.console.changes import Changes
from tests.conftest import SHORTCODE, entry_of, open_query
from tests.integration.alerting import add_rule, opened
from tests.integration.answers import begin, record, success
from tests.integration.console_desk import Browser, Console
from tests.waiting import eventually
from worker import alerting
from worker.house import House

pytestmark = pytest.mark.console

OTHER = "600001"


def mark(house: House) -> int:
    with house.database.transaction() as connection:
        return happened.newest(connection)


def events(browser: Browser, number: int) -> Iterator[str]:
    """The names of the events that a page hears, as they come; each wait is bounded."""
    stream = browser.session.get(
        f"{browser.url}/events?mark={number}",
        headers={"Accept": "text/event-stream"},
        stream=True,
        timeout=30,
    )
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
        if line.startswith("event: "):
            yield line.removeprefix("event: ")


@pytest.fixture
def other(house: House) -> str:
    """Another shortcode that is registered."""
    with house.database.transaction() as connection:
        shortcodes.add(connection, house.database.sealer, entry_of(OTHER))
    return OTHER


def move(house: House, shortcode: str) -> None:
    """A query of a shortcode is opened."""
    with house.database.transaction() as connection:
        connection.execute("UPDATE shortcodes SET suspended_at = NULL")
        connection.execute(MOVED, {"shortcode": shortcode})


MOVED = """
    WITH opened AS (
        INSERT INTO balance_queries (id, shortcode, remarks, forced, deadline_at)
        VALUES (gen_random_uuid(), %(shortcode)s, 'x', true, now() + interval '1 hour') RETURNING id
    ) INSERT INTO query_events (query_id, state, cause) SELECT id, 'pending', 'test' FROM opened
"""


def test_a_page_hears_of_a_balance_when_it_has_arrived(console: Console) -> None:
    house = console.house
    heard = events(console.browser("alice"), mark(house))
    query_id = open_query(house.database)
    assert next(heard) == SHORTCODE
    record(house, begin(house, query_id), success())
    assert next(heard) == SHORTCODE


def test_what_happened_while_the_page_was_on_its_way_is_told_first(console: Console) -> None:
    number = mark(console.house)
    open_query(console.house.database)
    assert next(events(console.browser("alice"), number)) == SHORTCODE


def test_what_is_committed_while_looking_begins_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_look, newest = threading.Event(), happened.newest

    def late(connection: Connection) -> int:
        may_look.wait(30)
        return newest(connection)

    number = mark(house)
    monkeypatch.setattr(happened, "newest", late)
    changes = Changes(house.database)
    with ThreadPoolExecutor(1) as page:
        told = page.submit(next, changes.follow(60, number, "alice"))
        eventually(lambda: changes._followers)
        open_query(house.database)
        may_look.set()
        assert SHORTCODE in told.result().shortcodes


def test_a_move_that_is_committed_after_a_later_one_is_told_too(console: Console, other: str) -> None:
    house = console.house
    heard = events(console.browser("alice"), mark(house))
    with house.database.transaction() as first:
        first.execute(MOVED, {"shortcode": SHORTCODE})
        move(house, other)
        assert next(heard) == other
    assert next(heard) == SHORTCODE


def test_a_page_hears_of_an_alert_that_is_raised_after_the_balance(console: Console, other: str) -> None:
    house = console.house
    add_rule(house, "below", threshold="800000")
    record(house, begin(house, open_query(house.database)), success())
    heard = events(console.browser("alice"), mark(house))
    # What is told the second time was looked for while the page followed.
    for _ in range(2):
        move(house, other)
        assert next(heard) == other
    assert alerting.examine(house)
    assert opened(house) == [("below", "Working Account")]
    assert next(heard) == SHORTCODE


def test_a_page_hears_of_those_shortcodes_only_that_its_reader_may_see(
    console: Console, other: str
) -> None:
    house = console.house
    heard = events(console.browser("till", Role.VIEWER, (other,)), mark(house))
    move(house, SHORTCODE)
    move(house, other)
    assert next(heard) == other


def test_following_keeps_no_session_open(console: Console) -> None:
    house = console.house
    browser = console.browser("alice")
    with house.database.transaction() as connection:
        connection.execute("UPDATE sessions SET seen_at = seen_at - interval '20 minutes'")
    browser.get(f"/balances/{SHORTCODE}")
    with house.database.transaction() as connection:
        (row,) = connection.execute("SELECT now() - seen_at > interval '19 minutes' AS idle FROM sessions")
    assert row == {"idle": True}


def test_a_stream_is_for_those_who_are_signed_in(console: Console) -> None:
    answer = requests.get(
        f"{console.url}/events", headers={"Accept": "text/event-stream"}, timeout=10, allow_redirects=False
    )
    assert answer.status_code == 401


def test_a_row_is_asked_for_by_itself_and_shows_the_new_balance(console: Console) -> None:
    house = console.house
    browser = console.browser("alice", Role.VIEWER)
    query_id: UUID = open_query(house.database)
    assert "asking M-PESA" in browser.get(f"/balances/{SHORTCODE}").text
    record(house, begin(house, query_id), success())
    shown = browser.get(f"/balances/{SHORTCODE}").text
    assert "700,000.00" in shown
    assert "asking M-PESA" not in shown
    # A viewer has nothing to press.
    assert "<button" not in shown
