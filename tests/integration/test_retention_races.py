"""Removing what ended long ago beside others: whoever holds it, whoever comes late, and how it is found."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mpesa_balance import inbox, retention
from mpesa_balance.archives import Archive
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import DatabaseUnavailable
from tests.conftest import open_query
from tests.integration.answers import delivery, failure, first_in_line, record, row, rows, success
from tests.integration.at_once import at_once
from tests.integration.pruning import (
    BY,
    MANY,
    TABLES,
    age,
    archived,
    complete,
    execute,
    prune,
    settle,
    stored,
)
from tests.integration.rotating import database_with
from tests.waiting import eventually
from worker import callbacks
from worker.house import House


def test_whoever_replays_a_callback_goes_first(house: House, folder: Path) -> None:
    """He has locked it, and would wait for its query in a circle."""
    complete(house)
    complete(house)
    age(house)
    before = stored(house)
    with house.database.transaction() as connection:
        connection.execute("SELECT FROM callbacks FOR UPDATE")
        with pytest.raises(DatabaseUnavailable):
            prune(house, folder)
    assert stored(house) == before
    assert prune(house, folder)["balance_queries"] == 1


def test_a_callback_that_comes_meanwhile_is_not_removed(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded after the last look at what may go, and before the rows are read."""
    query_id = complete(house)
    complete(house)
    (attempt,) = rows(house, "SELECT id FROM submission_attempts WHERE query_id = %s", query_id)
    age(house)
    gathered, coming = retention._gathered, [Delivery.read(delivery(house, attempt["id"], failure()))]

    def gather(*arguments: Any) -> Any:
        with house.database.transaction() as connection:
            inbox.record(connection, coming)
        return gathered(*arguments)

    monkeypatch.setattr(retention, "_gathered", gather)
    assert prune(house, folder)["callbacks"] == 1
    (came,) = rows(house, "SELECT id FROM callbacks WHERE attempt_id = %s", attempt["id"])
    execute(house, "UPDATE callbacks SET judging_at = now() - interval '1 min'")
    callbacks.judge_again(house, came["id"])
    found = row(house, "SELECT disposition FROM callbacks WHERE id = %s", came["id"])
    assert found == {"disposition": "unmatched"}


def test_what_somebody_holds_is_passed_over(house: House, folder: Path) -> None:
    held, *_ = [complete(house) for _ in range(3)]
    age(house)
    with house.database.transaction() as connection:
        connection.execute("SELECT FROM balance_queries WHERE id = %s FOR KEY SHARE", (held,))
        assert prune(house, folder)["balance_queries"] == 1
    assert prune(house, folder)["balance_queries"] == 1


def test_several_at_once_remove_each_row_once(house: House, folder: Path) -> None:
    for _ in range(8):
        complete(house)
    age(house)
    before = stored(house)
    removed = at_once(lambda _: prune(house, folder, batch=2), range(3))
    assert sum(one.get("balance_queries", 0) for one in removed) == 7
    assert archived(house, folder.iterdir()) == before - stored(house)


@contextmanager
def pruning(house: House, folder: Path) -> Iterator[None]:
    """Somebody removes what he can, again and again, in small batches."""
    stopped = threading.Event()

    def go_on() -> None:
        while not stopped.is_set():
            prune(house, folder, batch=3)

    with ThreadPoolExecutor(2) as pruners:
        busy = [pruners.submit(go_on) for _ in range(2)]
        try:
            yield
        finally:
            stopped.set()
        assert [one.result() for one in busy] == [None, None]


def test_a_late_result_is_applied_or_kept_as_unmatched_whoever_comes_first(
    house: House, folder: Path
) -> None:
    attempts = [first_in_line(house, open_query(house.database)) for _ in range(30)]
    execute(house, "UPDATE balance_queries SET deadline_at = now() - interval '1 s'")
    settle(house)
    execute(house, "UPDATE alerts SET cleared_at = now()")
    age(house)
    with ThreadPoolExecutor(3) as workers, pruning(house, folder):
        for came in [workers.submit(record, house, one.id, success()) for one in attempts if one]:
            came.result()
    assert len(rows(house, "SELECT id FROM callbacks WHERE disposition IN ('applied', 'unmatched')")) == 30
    applied = "SELECT attempt_id FROM callbacks WHERE disposition = 'applied'"
    completed = "SELECT a.id AS attempt_id FROM submission_attempts a JOIN balances USING (query_id)"
    assert rows(house, f"{applied} ORDER BY 1") == rows(house, f"{completed} ORDER BY 1")


def test_every_reference_to_what_goes_has_an_index(house: House) -> None:
    """A foreign key is looked at for each row that goes."""
    unindexed = rows(
        house,
        "SELECT conrelid::regclass::text AS table, conkey FROM pg_constraint WHERE contype = 'f' "
        "AND confrelid::regclass::text = ANY(%s) AND NOT EXISTS (SELECT FROM pg_index "
        "WHERE indrelid = conrelid AND indkey[0] = conkey[1])",
        TABLES,
    )
    assert unindexed == []


def test_no_table_is_looked_through_as_a_whole(house: House, folder: Path, keys: dict[str, str]) -> None:
    """Neither to find what may go, nor to remove it, nor to see that nothing refers to it any more."""
    execute(house, MANY)
    ended = "now() - random() * interval '1 d'"
    execute(house, f"UPDATE balance_queries SET state = 'completed', ended_at = {ended}")
    age(house)
    execute(house, "ANALYZE")
    end_connections(house)
    database = database_with(house, keys["SEALING_KEYS"])
    with closing(database), closing(Archive(folder, database.sealer)) as archive:
        before = looked_through(house)
        pruning = retention.prune(database, archive, 30, BY, 20)
        assert sum(next(pruning).rows.values()) > 200
        with database.transaction() as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
    assert looked_through(house) == before


def end_connections(house: House) -> None:
    """What they have read is told when they end, or at any later moment."""
    own = "SELECT pid FROM pg_stat_activity WHERE application_name = 'mpesa-balance-worker'"
    pids = [one["pid"] for one in rows(house, own)]
    house.database.close()
    eventually(lambda: not rows(house, f"{own} AND pid = ANY(%s)", pids))


def looked_through(house: House) -> dict[str, int]:
    """How often each table was read as a whole."""
    # What this connection has read is told a second later otherwise, which may be after the next look.
    rows(house, "SELECT pg_stat_force_next_flush()")
    counted = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY(%s)"
    return {one["relname"]: one["seq_scan"] for one in rows(house, counted, TABLES)}
