"""Postgres is restarted, crashed, cut off and away; the spool holds what it cannot take."""

import pytest

from tests.faults.conftest import Arena
from tests.faults.report import Teller
from tests.faults.storms import under_storm

pytestmark = pytest.mark.faults

OUTAGE = 15


@pytest.mark.long
def test_restarted(arena: Arena, told: Teller) -> None:
    def restart() -> None:
        arena.postgres.stop("fast")
        arena.postgres.start()

    under_storm(arena, told, "F13", "Postgres restarted (fast)", [2, restart, 2])


def test_crashed(arena: Arena, told: Teller) -> None:
    def crash() -> None:
        arena.postgres.stop("immediate")
        arena.postgres.start()

    under_storm(arena, told, "F13", "Postgres crashed (immediate) twice", [2, crash, 2, crash, 2])


@pytest.mark.long
def test_one_session_killed(arena: Arena, told: Teller) -> None:
    steps = [2, arena.postgres.kill_one_session, 3, arena.postgres.kill_one_session, 3]
    under_storm(arena, told, "F13", "kill -9 of a backend, twice", steps)


def test_all_sessions_ended(arena: Arena, told: Teller) -> None:
    steps = [step for _ in range(10) for step in (0.5, arena.postgres.end_all_sessions)]
    under_storm(arena, told, "F13", "all sessions terminated 10 times", steps)


def test_away(arena: Arena, told: Teller) -> None:
    steps = [1, lambda: arena.postgres.stop("fast"), OUTAGE, arena.postgres.start]
    under_storm(arena, told, "F14", f"Postgres away for {OUTAGE} s", steps)


@pytest.mark.long
def test_away_for_five_minutes(arena: Arena, told: Teller) -> None:
    steps = [1, lambda: arena.postgres.stop("fast"), 300, arena.postgres.start]
    under_storm(arena, told, "F14", "Postgres away for 5 min", steps, patience=180)


def test_commits_cut(arena: Arena, told: Teller) -> None:
    """The connection goes at any moment, also between a commit and its confirmation."""
    steps = [step for _ in range(40) for step in (0.2, arena.postgres.proxy.cut)]
    under_storm(arena, told, "F16", "connections to Postgres cut 40 times", steps)


@pytest.mark.long
def test_half_open(arena: Arena, told: Teller) -> None:
    steps = [
        1,
        arena.postgres.proxy.fall_silent,
        OUTAGE,
        arena.postgres.proxy.cut,
        arena.postgres.proxy.heal,
    ]
    under_storm(arena, told, "F31", f"connections to Postgres half open for {OUTAGE} s", steps)


@pytest.mark.long
def test_both_stores_away(arena: Arena, told: Teller) -> None:
    def cut_off() -> None:
        arena.postgres.proxy.refuse()
        arena.redis.proxy.refuse()

    steps = [1, cut_off, OUTAGE, arena.redis.proxy.heal, 1, arena.postgres.proxy.heal]
    under_storm(arena, told, "F31", f"Postgres and Redis out of reach for {OUTAGE} s", steps)
