"""What ended long ago is archived and removed; what is open or waits stays, and each last balance."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from mpesa_balance import archives, history, retention
from mpesa_balance.audit import Action
from mpesa_balance.contract import PRUNE, request_id_for
from mpesa_balance.errors import ArchiveUnavailable
from mpesa_balance.retained import ROOTS
from mpesa_balance.retention import PARTS
from mpesa_balance.settings import RetentionSettings
from tests.conftest import SHORTCODE, open_query
from tests.integration.answers import BALANCE, begin, failure, record, row, rows, success
from tests.integration.pruning import (
    BY,
    TABLES,
    a_past,
    age,
    archived,
    complete,
    execute,
    prune,
    settle,
    stored,
)
from tests.integration.trail import told, trail
from worker import clock, retaining
from worker.house import House
from worker.intake import open_request


def left(house: House) -> dict[str, int]:
    """How many rows each table has."""
    counts = {table: row(house, f"SELECT count(*) AS n FROM {table}")["n"] for table in TABLES}
    return {table: count for table, count in counts.items() if count}


def test_every_table_that_refers_to_what_goes_goes_with_it(house: House) -> None:
    """A table that is added one day would otherwise keep everything from being removed."""
    referring = rows(
        house,
        "SELECT conrelid::regclass::text AS table, a.attname AS column, "
        "confrelid::regclass::text AS parent FROM pg_constraint "
        "JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1] "
        "WHERE contype = 'f' AND confrelid::regclass::text = ANY(%s)",
        TABLES,
    )
    hanging = {(part.table, column, table) for part in PARTS for table, column in part.hangs_on.items()}
    found = {(one["table"], one["column"], one["parent"]) for one in referring}
    # The one that has no key to refer by, and two that are looked at by what may go.
    callback = ("callbacks", "attempt_id", "submission_attempts")
    looked_at = {
        ("balances", "callback_id", "callbacks"),
        ("balance_queries", "retry_of", "balance_queries"),
    }
    assert found == hanging - {callback} | looked_at


def test_everything_that_ended_long_ago_is_in_the_archive_and_the_last_balance_stays(
    house: House, folder: Path
) -> None:
    a_past(house)
    assert left(house).keys() == set(TABLES)
    age(house)
    before = stored(house)
    due = retention.due(house.database, 30)
    removed = prune(house, folder)
    assert left(house) == {
        "balance_queries": 1,
        "balance_requests": 1,
        "submission_attempts": 1,
        "callbacks": 1,
        "balances": 1,
        "query_events": 2,
    }
    assert removed.keys() == set(TABLES)
    assert archived(house, folder.iterdir()) == before - stored(house)
    assert sum(removed.values()) == len(before - stored(house))
    assert due["balance_queries"] == removed["balance_queries"]
    assert prune(house, folder) == {}
    assert set(retention.due(house.database, 30).values()) == {0}
    with house.database.transaction() as connection:
        (last,) = history.latest(connection, house.database.sealer, [SHORTCODE])
    assert last.accounts


def test_what_was_sealed_is_readable_in_the_archive(house: House, folder: Path) -> None:
    a_past(house)
    age(house)
    prune(house, folder)
    found = list(archives.rows(house.database.sealer, list(folder.iterdir()), print))
    payloads = [one["payload"] for table, one in found if table == "callbacks"]
    documents = [one["document"] for table, one in found if table == "balances"]
    details = [one["detail"] for table, one in found if table == "alerts"]
    assert success().decode() in payloads
    assert all(BALANCE in document for document in documents)
    assert any("700000.00" in detail for detail in details)
    assert b"700000" not in b"".join(path.read_bytes() for path in folder.iterdir())


def test_what_does_not_open_is_archived_sealed(house: House, folder: Path) -> None:
    complete(house)
    complete(house)
    age(house)
    sealed = b"\x01\x04gone" + b"x" * 40
    execute(house, "UPDATE callbacks SET payload = %s", sealed)
    prune(house, folder)
    found = archives.rows(house.database.sealer, list(folder.iterdir()), print)
    (payload,) = [one["payload"] for table, one in found if table == "callbacks"]
    assert payload == "\\x" + sealed.hex()


#: What keeps an old query, or a row without one, by what is changed of it.
KEEPING = {
    "a reply that is not sent": "UPDATE replies SET sent_at = NULL",
    "a notice that is not told": "UPDATE outbox SET delivered_at = NULL",
    "a balance that no rule was held against": "UPDATE balances SET examined_at = NULL",
    "an alert that is open": "UPDATE alerts SET cleared_at = NULL",
    "an alert that was over a moment ago": "UPDATE alerts SET cleared_at = now()",
    "a message that waits": "UPDATE alert_messages SET delivered_at = NULL",
    "a request that came later": "UPDATE balance_requests SET requested_at = now()",
    "a callback that came later": "UPDATE callbacks SET recorded_at = now()",
    "a callback that is not judged": "UPDATE callbacks SET disposition = NULL",
}

#: The tables of which everything stays then.
KEPT = {
    "replies": {"replies"},
    "outbox": {"outbox"},
    "balances": {"balances"},
    "alerts": {"alerts"},
    "alert_messages": {"alert_messages", "alerts"},
    "balance_requests": {"balance_requests", "balance_queries"},
    "callbacks": {"callbacks", "submission_attempts"},
}


@pytest.mark.parametrize("change", KEEPING.values(), ids=KEEPING.keys())
def test_what_is_open_or_waits_or_is_young_stays_with_its_query(
    house: House, folder: Path, change: str
) -> None:
    a_past(house, balances=1)
    age(house)
    execute(house, change)
    table = change.split()[1]
    before = left(house)
    prune(house, folder)
    for kept in KEPT[table]:
        assert left(house)[kept] == before[kept]


def test_a_query_stays_while_somebody_is_to_be_told_of_its_callback_alone(
    house: House, folder: Path
) -> None:
    """As of one whose judgement ended its worker again and again."""
    complete(house)
    complete(house)
    age(house)
    execute(house, "INSERT INTO outbox (topic, callback_id, message) SELECT 'x', id, 'x' FROM callbacks")
    assert prune(house, folder) == {}


def test_an_open_query_stays_however_old_it_is(house: House, query_id: UUID, folder: Path) -> None:
    age(house)
    assert prune(house, folder) == {}


def test_what_ended_a_moment_ago_stays(house: House, folder: Path) -> None:
    a_past(house)
    before = stored(house)
    assert prune(house, folder, days=1) == {}
    assert stored(house) == before
    assert list(folder.iterdir()) == []


def test_the_balance_that_stays_is_the_newest_by_when_it_stood_so(house: House, folder: Path) -> None:
    """A late result came last, and is older."""
    newest, *_ = [complete(house) for _ in range(3)]
    execute(house, "UPDATE balances SET as_of = as_of + interval '1 s' WHERE query_id = %s", newest)
    age(house)
    assert prune(house, folder)["balances"] == 2
    assert row(house, "SELECT id FROM balance_queries") == {"id": newest}


def retry_twice(house: House) -> UUID:
    """A query that asked for another try twice; the last of the three brought a balance."""
    query_id = open_query(house.database)
    for _ in range(2):
        record(house, begin(house, query_id), failure("26"))
        (following,) = rows(house, "SELECT id FROM balance_queries WHERE retry_of = %s", query_id)
        query_id = following["id"]
    record(house, begin(house, query_id), success())
    settle(house)
    return query_id


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_a_query_goes_after_those_that_took_its_place(house: House, folder: Path, batch: int) -> None:
    retry_twice(house)
    complete(house)
    age(house)
    assert retention.due(house.database, 30)["balance_queries"] == 3
    assert prune(house, folder, batch=batch)["balance_queries"] == 3


def test_a_query_stays_while_the_one_that_took_its_place_does(house: House, folder: Path) -> None:
    retry_twice(house)
    age(house)
    assert retention.due(house.database, 30)["balance_queries"] == 0
    assert prune(house, folder) == {}


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_batches_of_any_size_remove_the_same(house: House, folder: Path, batch: int) -> None:
    """Also where all ended in one moment, and some of them stay."""
    for _ in range(5):
        complete(house)
    execute(house, "UPDATE balance_queries SET ended_at = now()")
    age(house)
    before = stored(house)
    assert prune(house, folder, batch=batch)["balance_queries"] == 4
    assert archived(house, folder.iterdir()) == before - stored(house)


def test_a_late_callback_for_an_attempt_that_was_removed_is_kept_as_unmatched_until_it_is_old(
    house: House, folder: Path
) -> None:
    query_id = open_query(house.database)
    attempt_id = begin(house, query_id)
    execute(house, "UPDATE balance_queries SET deadline_at = now() - interval '1 s'")
    settle(house)
    execute(house, "UPDATE alerts SET cleared_at = now()")
    age(house)
    assert prune(house, folder)["submission_attempts"] == 1
    record(house, attempt_id, success())
    assert row(house, "SELECT disposition FROM callbacks") == {"disposition": "unmatched"}
    settle(house)
    assert prune(house, folder) == {}
    age(house)
    assert prune(house, folder)["callbacks"] == 1


def test_a_key_that_was_removed_is_forgotten(house: House, folder: Path) -> None:
    a_past(house)
    age(house)
    prune(house, folder)
    again = {"shortcode": SHORTCODE, "idempotency_key": "k", "force": True}
    open_request(house, str(uuid4()), again)
    found = row(
        house, "SELECT query_id FROM balance_requests WHERE id = %s", request_id_for(SHORTCODE, "k")
    )
    assert found["query_id"] is not None


def test_who_removed_what_is_in_the_audit_which_stays(house: House, folder: Path) -> None:
    for _ in range(3):
        complete(house)
    age(house)
    before = len(trail(house, limit=1000))
    prune(house, folder, batch=1)
    first, second = trail(house, action=Action.PRUNED)
    (archive,) = folder.iterdir()
    assert told(first) == told(second) == (BY, "pruned", archive.name)
    assert second.detail.startswith("batch 1: 1 balance_queries, 1 balance_requests")
    # The asks of the audit are the requests.
    assert len(trail(house, limit=1000)) == before + 2 - 2


def test_where_no_archive_can_be_written_nothing_is_removed(house: House, folder: Path) -> None:
    a_past(house)
    age(house)
    before = stored(house)
    with pytest.raises(ArchiveUnavailable, match=r"nowhere.*cannot be written.*nothing is removed"):
        prune(house, folder / "nowhere")
    assert stored(house) == before


def scheduled(house: House, folder: Path, days: int) -> House:
    kept = RetentionSettings(days=days, directory=folder)
    return replace(house, settings=replace(house.settings, retention=kept))


def test_a_tick_removes_what_is_kept_no_longer(house: House, folder: Path) -> None:
    a_past(house)
    age(house)
    clock.tick(scheduled(house, folder, 30), PRUNE, retaining.prune)
    assert left(house)["balance_queries"] == 1
    assert {entry.actor for entry in trail(house, action=Action.PRUNED)} == {"retention"}
    execute(house, "UPDATE ticks SET slot = slot - 1")
    clock.tick(scheduled(house, folder, 30), PRUNE, retaining.prune)
    assert len(list(folder.iterdir())) == 1


def test_a_tick_goes_on_where_the_one_before_ran_out_of_time(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_past(house)
    age(house)
    monkeypatch.setattr(retaining, "_AT_MOST", 0)
    retaining.prune(scheduled(house, folder, 30))
    assert left(house).keys() >= {"balance_queries", "alerts"}
    for _ in range(len(ROOTS)):
        retaining.prune(scheduled(house, folder, 30))
    assert "alerts" not in left(house)


def test_everything_is_kept_for_ever_by_default(house: House) -> None:
    a_past(house)
    age(house, 4000)
    before = stored(house)
    retaining.prune(house)
    assert stored(house) == before
