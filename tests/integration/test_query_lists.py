"""Queries in lists: in their order, page by page, and only those that are wanted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from mpesa_balance import query_lists
from mpesa_balance.ids import time_ordered_id
from mpesa_balance.settings import WorkerSettings
from mpesa_balance.states import QueryState
from tests.conftest import SHORTCODE
from tests.integration import stocked
from tests.integration.answers import begin, rows
from tests.integration.plans import explained, pretend_years
from worker.house import House

OTHER = "600001"
SELDOM = "600002"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

MOVE = "UPDATE balance_queries SET state = %s, ended_at = %s WHERE id = %s RETURNING id"


def newest(house: House, **wanted: Any) -> list[UUID]:
    with house.database.transaction() as connection:
        return [one.id for one in query_lists.newest(connection, **wanted)]


def paged(house: House, limit: int, **wanted: Any) -> list[UUID]:
    """All pages, one after the other."""
    found = page = newest(house, limit=limit, **wanted)
    while page:
        page = newest(house, limit=limit, before=page[-1], **wanted)
        found = found + page
    return found


@pytest.fixture
def ids(house: House) -> dict[str, list[UUID]]:
    """Queries of two shortcodes in turn, oldest first; those in the middle were opened at one instant."""
    stocked.add_shortcode(house, OTHER)
    opened: dict[str, list[UUID]] = {SHORTCODE: [], OTHER: []}
    for hours in (0, 1, 1, 2):
        for shortcode in opened:
            query_id = stocked.opened(house, shortcode, at=NOON + timedelta(hours=hours))
            opened[shortcode].append(query_id)
    # The later of two ids of one millisecond is whichever is larger.
    return {shortcode: [first, *sorted(same), last] for shortcode, (first, *same, last) in opened.items()}


def test_the_newest_of_all_come_by_their_ids(house: House, ids: dict[str, list[UUID]]) -> None:
    every = sorted(ids[SHORTCODE] + ids[OTHER], reverse=True)
    assert newest(house) == every
    assert newest(house, limit=3) == every[:3]
    assert newest(house, before=every[2], limit=2) == every[3:5]


def test_the_newest_of_one_shortcode_are_its_own(house: House, ids: dict[str, list[UUID]]) -> None:
    assert newest(house, shortcodes=[OTHER]) == ids[OTHER][::-1]
    assert newest(house, shortcodes=["600009"]) == newest(house, shortcodes=[]) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_of_several_shortcodes_go_on_where_the_last_has_ended(
    house: House, ids: dict[str, list[UUID]], limit: int
) -> None:
    mine, others = ids[SHORTCODE], ids[OTHER]
    same = sorted(mine[1:3] + others[1:3], reverse=True)
    last, first = sorted((mine[3], others[3]), reverse=True), sorted((mine[0], others[0]), reverse=True)
    assert paged(house, limit, shortcodes=[SHORTCODE, OTHER]) == last + same + first


def test_pages_of_all_go_on_where_the_last_has_ended(house: House, ids: dict[str, list[UUID]]) -> None:
    assert paged(house, 3) == sorted(ids[SHORTCODE] + ids[OTHER], reverse=True)


def test_before_a_query_of_another_shortcode_there_are_none_as_before_an_unknown_one(
    house: House, ids: dict[str, list[UUID]]
) -> None:
    for before in (ids[OTHER][-1], time_ordered_id()):
        assert newest(house, shortcodes=[SHORTCODE], before=before) == []


@pytest.mark.parametrize("shortcodes", [None, [SHORTCODE]])
def test_queries_in_one_state_are_those_that_stand_there(
    house: House, shortcodes: list[str] | None
) -> None:
    completed, failed = stocked.completed(house), stocked.failed(house)
    timed_out, acknowledged, pending = (stocked.opened(house) for _ in range(3))
    for query_id, state, ended_at in ((timed_out, "timed_out", NOON), (acknowledged, "acknowledged", None)):
        rows(house, MOVE, state, ended_at, query_id)
    for state, query_id in zip(
        QueryState, (pending, acknowledged, completed, failed, timed_out), strict=True
    ):
        assert newest(house, shortcodes=shortcodes, state=state) == [query_id], state


def test_a_query_in_a_list_says_how_it_ended(house: House) -> None:
    query_id = stocked.failed(house)
    with house.database.transaction() as connection:
        (listed,) = query_lists.newest(connection)
    assert (listed.id, listed.shortcode, listed.state) == (query_id, SHORTCODE, QueryState.FAILED)
    assert (listed.late, listed.attempts, listed.result_code) == (False, 1, "2001")
    assert listed.ended_at is not None
    assert listed.ended_at >= listed.created_at


def test_attempts_of_a_query_come_in_order(house: House, query_id: UUID) -> None:
    for _ in range(2):
        begin(house, query_id)
    with house.database.transaction() as connection:
        attempts = query_lists.attempts_of(connection, query_id)
        assert query_lists.attempts_of(connection, uuid4()) == []
    assert [(one.number, one.state, one.answered_at) for one in attempts] == [
        (1, "unknown", None),
        (2, "sending", None),
    ]


class TestWithYearsOfHistory:
    """What nobody may be made to wait for."""

    @pytest.fixture
    def settings(self, settings: WorkerSettings) -> WorkerSettings:
        # What is explained is what runs on one connection.
        return replace(settings, database=replace(settings.database, pool_size=1))

    @pytest.fixture
    def seldom(self, house: House) -> UUID:
        """The one query of a shortcode that is seldom asked, older than many of another."""
        query_id = stocked.opened(house, stocked.add_shortcode(house, SELDOM))
        for number in range(60):
            ended = ("completed", "completed", "failed", "completed", "timed_out", None)[number % 6]
            opened = stocked.opened(house)
            if ended:
                rows(house, MOVE, ended, NOON, opened)
        with house.database.transaction() as connection:
            connection.execute("ANALYZE")
            pretend_years(connection)
        return query_id

    @pytest.mark.parametrize("mode", ["auto", "force_generic_plan"])
    def test_a_shortcode_that_is_seldom_asked_is_not_looked_for_among_all(
        self, house: House, seldom: UUID, mode: str
    ) -> None:
        with explained(house, f"SET plan_cache_mode = {mode}") as plans:
            for state in (None, *QueryState):
                newest(house, shortcodes=[SELDOM], state=state)
                newest(house, shortcodes=[SELDOM], state=state, before=seldom)
        lists = [plan for plan in plans if "balance_queries" in plan.statement]
        assert len(lists) == 12
        assert [plan.scanned | plan.read_whole for plan in lists] == [set()] * 12
