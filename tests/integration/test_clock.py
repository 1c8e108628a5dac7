"""Periodic jobs: any number of clocks, and each tick is run once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

from mpesa_balance import ticks
from mpesa_balance.contract import REFRESH_TOKENS, SWEEP
from tests.integration.answers import row, rows
from worker import clock
from worker.house import House

#: So long that no run of the tests meets the end of one, in seconds.
ERA = 10**12


def test_of_many_clocks_that_tick_at_once_one_is_heard(house: House) -> None:
    def take(_: int) -> bool:
        with house.database.transaction() as connection:
            return ticks.take(connection, SWEEP, ERA)

    with ThreadPoolExecutor(6) as clocks:
        assert sorted(clocks.map(take, range(30))) == [False] * 29 + [True]


def test_the_next_tick_is_heard_again(house: House) -> None:
    with house.database.transaction() as connection:
        assert ticks.take(connection, SWEEP, ERA)
        connection.execute("UPDATE ticks SET slot = slot - 1")
        assert ticks.take(connection, SWEEP, ERA)


def test_a_database_clock_that_was_set_back_stops_nothing(house: House) -> None:
    with house.database.transaction() as connection:
        assert ticks.take(connection, SWEEP, ERA)
        connection.execute("UPDATE ticks SET slot = slot + 1000")
        assert ticks.take(connection, SWEEP, ERA)


def test_each_job_has_its_own_ticks(house: House) -> None:
    ran: list[str] = []
    for job in (SWEEP, REFRESH_TOKENS, SWEEP):
        rows(house, "UPDATE ticks SET slot = slot RETURNING job")
        clock.tick(house, job, lambda _, job=job: ran.append(job))  # type: ignore[misc]
    assert set(ran) == {SWEEP, REFRESH_TOKENS}


def test_a_job_runs_once_a_tick_however_often_it_is_sent(house: House) -> None:
    daily = replace(house, settings=replace(house.settings, sweep_interval=ERA))
    ran: list[House] = []
    for _ in range(3):
        clock.tick(daily, SWEEP, ran.append)
    assert ran == [daily]


def test_a_job_that_fails_comes_with_the_next_tick(house: House, query_id: UUID) -> None:
    def fail(_: House) -> None:
        raise RuntimeError

    try:
        clock.tick(house, REFRESH_TOKENS, fail)
    except RuntimeError:
        rows(house, "UPDATE ticks SET slot = slot - 1 RETURNING job")
    ran: list[House] = []
    clock.tick(house, REFRESH_TOKENS, ran.append)
    assert ran == [house]
    assert row(house, "SELECT job FROM ticks") == {"job": REFRESH_TOKENS}
