"""No statement of the hot path reads a table that grows from end to end, however much is stored."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from psycopg import sql

from mpesa_balance import (
    alert_messages,
    alerts,
    attempts,
    balance_requests,
    beginnings,
    examination,
    inbox,
    line,
    outbox,
    queries,
    received,
    replies,
    schedules,
    shortcodes,
    standing,
    ticks,
    traces,
)
from mpesa_balance.database import connect
from mpesa_balance.settings import WorkerSettings
from ops.bench.figures import filling, registering
from tests.conftest import Bell, entry_of
from tests.fakes import FakeDaraja
from tests.integration.hot_path import HotPath
from tests.integration.plans import explained, pretend_years
from tests.receivers import web_receiver
from worker.house import House

#: What is done with every query, or every few seconds, speaks SQL in these.
ROOMS = (
    *(alert_messages, alerts, attempts, balance_requests, beginnings, examination, inbox, line, outbox),
    *(queries, received, replies, schedules, standing, ticks, traces),
)

#: What only people do, at the command line, and what is a part of others.
ELSEWHERE = {
    *("alerts._ACKNOWLEDGE", "alerts._CLEAR_OF_RULE"),
    *(
        "queries._TOLD",
        "line._FIRST",
        "received._COLUMNS",
        "received._LISTED",
        "received._OF_QUERY",
        "received._SHOWN",
        "received._REPLAYS",
    ),
    *("schedules._EVERY", "schedules._REMOVE", "schedules._PAUSE", "schedules._RESUME"),
}

#: What looks at all that waits, or is first in it; and alerts, of which few are open at any time.
OF_ALL_THAT_WAITS = {
    *("beginnings._BEGIN", "line._FIRST_OF_EACH", "line._FIRST_OF", "examination._UNEXAMINED"),
    *("inbox._RING_UNFINISHED", "outbox._TAKE", "alert_messages._CLAIM"),
    *("standing._NOTICES", "standing._QUERIES", "standing._REPLIES", "standing._UNJUDGED"),
    *("alerts._CLEAR", "alerts._CLEAR_ANSWERED", "alerts._CLEAR_MENDED", "alerts._WITHDRAW"),
    *("alert_messages._PUT_OFF", "received._WAITING"),
}

#: Seconds each: years of history are filled in, and every plan is told.
pytestmark = pytest.mark.slow

STORED = 5000
SHORTCODES = 100


@pytest.fixture
def settings(settings: WorkerSettings) -> WorkerSettings:
    # What is explained is what runs on one connection.
    database = replace(settings.database, pool_size=1)
    return replace(settings, database=database, minimum_interval=60)


@pytest.fixture
def path(house: House, bell: Bell, daraja: FakeDaraja) -> Iterator[HotPath]:
    """A house with a long history, and shortcodes in it that are new."""
    sealer = house.database.sealer
    with connect(house.settings.database.database_url, "filling") as connection:
        connection.autocommit = True
        registering.register(connection, sealer, SHORTCODES, rate=5)
        filling.fill(connection, sealer, STORED, SHORTCODES)
        connection.execute("ANALYZE")
        pretend_years(connection)
    asked = [str(number) for number in range(600001, 600041)]
    with house.database.transaction() as connection:
        for shortcode in asked:
            shortcodes.add(connection, sealer, entry_of(shortcode))
    with web_receiver() as web:
        yield HotPath(house, bell, daraja, web, asked)


@pytest.mark.parametrize("mode", ["auto", "force_generic_plan"])
def test_no_statement_of_the_hot_path_reads_what_it_does_not_want(path: HotPath, mode: str) -> None:
    with explained(path.house, f"SET plan_cache_mode = {mode}") as plans:
        path.walk()
    assert {plan.statement: plan.scanned for plan in plans if plan.scanned} == {}
    # An index of what waits is short when a plan is made, and long on the morning when it is run.
    names = {plain(statement): name for name, statement in written()}
    named = [(names.get(plain(plan.statement), plan.statement), plan) for plan in plans]
    assert {name for name, plan in named if plan.read_whole} - OF_ALL_THAT_WAITS == set()
    # The walk must be led past every statement that is written.
    assert set(names.values()) - {name for name, _ in named} == ELSEWHERE


def test_what_is_rare_among_all_callbacks_is_found_by_an_index_of_its_own(path: HotPath) -> None:
    """Whoever looked for it through the newest first would look through all of them."""
    for selection in (received.FLAGGED, received.UNSETTLED):
        with explained(path.house) as plans, path.house.database.transaction() as connection:
            received.listed(connection, (selection,))
        (plan,) = (one for one in plans if "FROM callbacks" in one.statement)
        used = {node.get("Index Name") for node in plan.nodes}
        assert (plan.scanned, "callbacks_newest" in used) == (set(), False), selection


def written() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for name, value in vars(room).items():
            if name.isupper():
                yield from _statements(f"{room.__name__.rpartition('.')[2]}.{name}", value)


def _statements(name: str, value: Any) -> Iterator[tuple[str, str]]:
    for key, one in value.items() if isinstance(value, dict) else [("", value)]:
        text = one.as_string(None) if isinstance(one, sql.Composable) else one
        if isinstance(text, str) and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", text):
            yield name + (f"[{key}]" if key else ""), text


def plain(statement: str) -> str:
    """A statement without its white space and the names of its parameters."""
    return " ".join(re.sub(r"%\(\w+\)[sb]|\$\d+", "?", statement).split())
