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
    examination,
    inbox,
    line,
    outbox,
    queries,
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
from tests.integration.plans import Plan, explained, pretend_years
from tests.receivers import web_receiver
from worker.house import House

#: What is done with every query, or every few seconds, speaks SQL in these.
ROOMS = (
    *(alert_messages, alerts, attempts, balance_requests, examination, inbox, line, outbox, queries),
    *(replies, schedules, standing, ticks, traces),
)

#: What only people do, at the command line, and what is a part of others.
ELSEWHERE = {
    *("alerts._ACKNOWLEDGE", "alerts._CLEAR_OF_RULE"),
    "queries._TOLD",
    *("schedules._EVERY", "schedules._REMOVE", "schedules._PAUSE", "schedules._RESUME"),
}

STORED = 5000
SHORTCODES = 100


@pytest.fixture
def settings(settings: WorkerSettings) -> WorkerSettings:
    # What is explained is what runs on one connection.
    database = replace(settings.database, pool_size=1)
    return replace(settings, database=database, minimum_interval=60)


@pytest.fixture
def path(house: House, bell: Bell, daraja: FakeDaraja) -> Iterator[HotPath]:
    """A house with a long history, and new shortcodes in it."""
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
def test_no_statement_of_the_hot_path_reads_a_whole_table_that_grows(path: HotPath, mode: str) -> None:
    with explained(path.house, f"SET plan_cache_mode = {mode}") as plans:
        path.walk()
    assert {plan.statement: plan.scanned for plan in plans if plan.scanned} == {}
    assert unseen(plans) == set()


def unseen(plans: list[Plan]) -> set[str]:
    """The statements of the rooms that were not run: the walk must be led past them."""
    seen = {plain(plan.statement) for plan in plans}
    return {name for name, statement in written() if plain(statement) not in seen} - ELSEWHERE


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
