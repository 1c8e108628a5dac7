"""Everything is sealed anew with the first key: live, again and again, whatever else is going on."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest

from mpesa_balance import shortcodes
from mpesa_balance.database import Database
from mpesa_balance.errors import SealBroken
from mpesa_balance.rotation import Resealed, reseal
from mpesa_balance.sealed_columns import SEALED, census, others
from mpesa_balance.sealing import new_key, parse_sealer
from tests.conftest import SHORTCODE, Bell, entry_of, open_query
from tests.integration.answers import begin, record, row, rows, success
from tests.integration.at_once import at_once
from tests.integration.rotating import (
    CALLBACKS,
    QUARANTINE,
    SHORTCODES,
    breaks,
    database_with,
    fill,
    open_all,
    quarantine_callback,
    reconcile,
)
from worker.house import House, build


@pytest.fixture(scope="module")
def new() -> str:
    return f"new:{new_key()}"


@pytest.fixture
def rotating(house: House, keys: dict[str, str], new: str) -> Iterator[Database]:
    """The database as a program sees it that has the new key first."""
    made = database_with(house, f"{new},{keys['SEALING_KEYS']}")
    yield made
    made.close()


@pytest.fixture
def rotated(house: House, new: str) -> Iterator[Database]:
    """The database as a program sees it that has the new key only."""
    made = database_with(house, new)
    yield made
    made.close()


def rotate(database: Database, batch: int = 2) -> dict[str, Resealed]:
    return {column.name: reseal(database, column, batch=batch) for column in SEALED}


def left(database: Database) -> Counter[str | None]:
    found: Counter[str | None] = Counter()
    for column in census(database).values():
        found += others(column, database.sealer)
    return found


def test_no_sealed_column_is_forgotten(house: House) -> None:
    """Rows are gone through by their keys."""
    commented = rows(
        house,
        "SELECT c.relname AS table, a.attname AS column FROM pg_description d "
        "JOIN pg_class c ON c.oid = d.objoid "
        "JOIN pg_attribute a ON (a.attrelid, a.attnum) = (c.oid, d.objsubid) "
        "WHERE d.classoid = 'pg_class'::regclass AND d.description ~ '^Sealed[.:]'",
    )
    assert {(found["table"], found["column"]) for found in commented} == {
        (column.table, column.column) for column in SEALED
    }
    unique = (
        "SELECT indrelid::regclass::text AS table, indkey::text AS keys FROM pg_index WHERE indisunique"
    )
    indexes = {(found["table"], found["keys"]) for found in rows(house, unique)}
    for column in SEALED:
        numbers = "SELECT attnum FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
        keys = " ".join(str(row(house, numbers, column.table, key)["attnum"]) for key in column.keys)
        assert (column.table, keys) in indexes


def test_everything_is_sealed_anew_and_opens_without_the_old_key(
    house: House, rotating: Database, rotated: Database
) -> None:
    fill(house, balances=4)
    reconcile(house)
    assert left(rotating) == {"test": 2 + 1 + 5 + 5 + 2 + 3 + 1}
    with pytest.raises(SealBroken):
        open_all(rotated)
    done = rotate(rotating)
    assert {name: (one.rows, one.broken, one.busy) for name, one in done.items()} == {
        "daraja_apps.consumer_key": (1, 0, 0),
        "daraja_apps.consumer_secret": (1, 0, 0),
        "shortcodes.credential": (1, 0, 0),
        "callbacks.payload": (5, 0, 0),
        "balances.document": (5, 0, 0),
        "quarantined_tasks.message": (1, 0, 0),
        "alert_channels.url": (1, 0, 0),
        "alert_rules.limits": (1, 0, 0),
        "alerts.detail": (1, 0, 0),
        "reconciliations.document": (1, 0, 0),
    }
    assert left(rotating) == {}
    assert census(rotated)["quarantined_tasks.message"] == {"new": 2}
    assert open_all(rotated) == 5


def test_what_is_sealed_with_the_first_key_is_left_alone(house: House, rotating: Database) -> None:
    fill(house)
    rotate(rotating)
    before = rows(house, "SELECT xmin::text, payload FROM callbacks ORDER BY id")
    assert all(one.rows == 0 for one in rotate(rotating).values())
    assert rows(house, "SELECT xmin::text, payload FROM callbacks ORDER BY id") == before


def test_a_callback_inside_a_task_is_found_also_where_the_task_itself_has_the_first_key(
    house: House, rotating: Database, rotated: Database
) -> None:
    """The task was sealed after the restart, the callback before it."""
    house.database.sealer = rotating.sealer
    quarantine_callback(house)
    assert census(rotating)["quarantined_tasks.message"] == {"new": 1, "test": 1}
    assert reseal(rotating, QUARANTINE).rows == 1
    assert census(rotated)["quarantined_tasks.message"] == {"new": 2}


@pytest.mark.parametrize(
    ("sealed", "named", "said"),
    [
        (b"", None, "is not a sealed envelope"),
        (b"\x01", None, "is not a sealed envelope"),
        (b"\x01\x00", None, "is not a sealed envelope"),
        (b"\x02\x03new" + b"x" * 40, None, "is not a sealed envelope"),
        (b"\x01\x04a\x1b[1" + b"x" * 40, None, "is not a sealed envelope"),
        (b"\x01\x04test" + b"x" * 40, "test", "SEALING_KEYS holds another key under the id 'test'"),
        (b"\x01\x04gone" + b"x" * 40, "gone", "is sealed with key 'gone': add that key"),
        (b"\x01\x04new", None, "is not a sealed envelope"),
    ],
)
def test_what_does_not_open_is_left_and_told_and_stops_no_other(
    house: House, rotating: Database, sealed: bytes, named: str | None, said: str
) -> None:
    fill(house, balances=5)
    breaks(house, CALLBACKS, sealed)
    assert census(rotating)["callbacks.payload"] == Counter({"test": 4}) + Counter({named: 1})
    told: list[int] = []
    done = reseal(rotating, CALLBACKS, told.append, batch=2)
    assert (done.rows, done.broken, done.busy) == (4, 1, 0)
    (problem,) = done.problems
    assert said in problem
    assert problem.removeprefix("what stands at ").startswith("callbacks/")
    assert told == [2, 4, 5]
    assert len(rows(house, "SELECT FROM callbacks WHERE payload = %s", sealed)) == 1


def test_all_that_is_no_envelope_is_counted_together(house: House, rotating: Database) -> None:
    fill(house)
    breaks(house, CALLBACKS, b"x")
    rows(house, "UPDATE callbacks SET payload = 'another' WHERE payload <> 'x' RETURNING id")
    assert census(rotating)["callbacks.payload"] == {None: 3}


def test_of_many_that_do_not_open_the_first_are_told_and_all_are_counted(
    house: House, rotating: Database
) -> None:
    for _ in range(7):
        record(house, uuid4(), success())
    rows(house, "UPDATE callbacks SET payload = 'x' RETURNING id")
    done = reseal(rotating, CALLBACKS, batch=3)
    assert (done.broken, len(set(done.problems))) == (7, 5)


def test_a_row_that_is_held_is_passed_over_and_nobody_waits(house: House, rotating: Database) -> None:
    fill(house, balances=4)
    with house.database.transaction() as connection:
        connection.execute("SELECT FROM callbacks ORDER BY attempt_id LIMIT 1 FOR UPDATE")
        done = reseal(rotating, CALLBACKS, batch=2, tries=1)
        assert (done.rows, done.busy) == (3, 1)
        assert reseal(rotating, CALLBACKS, batch=2, tries=2).busy == 1
    assert reseal(rotating, CALLBACKS, tries=1).rows == 1


def test_what_was_held_is_sealed_in_a_later_round(house: House, rotating: Database) -> None:
    fill(house, balances=3)
    holding = house.database.transaction()
    connection = holding.__enter__()
    connection.execute("SELECT FROM callbacks ORDER BY attempt_id LIMIT 1 FOR UPDATE")

    def let_go_after_the_first_round(done: int) -> None:
        told.append(done)
        if len(told) == 2:
            holding.__exit__(None, None, None)

    told: list[int] = []
    done = reseal(rotating, CALLBACKS, let_go_after_the_first_round, batch=2)
    assert (done.rows, done.busy, told[-1]) == (3, 0, 3)


def test_whoever_refers_to_a_row_does_not_hold_it_up(house: House, rotating: Database) -> None:
    """A query that is being opened refers to its shortcode, and holds its key only."""
    with house.database.transaction() as connection:
        connection.execute("SELECT FROM shortcodes FOR KEY SHARE")
        assert reseal(rotating, SHORTCODES, tries=1).rows == 1


def test_a_value_that_is_replaced_between_reading_and_writing_is_the_one_that_stays(
    house: House, rotating: Database, rotated: Database
) -> None:
    def replaced_meanwhile(shortcode: str) -> str:
        if not replaced:
            replaced.append(shortcode)
            with house.database.transaction() as connection:
                entry = entry_of(password="An0ther1")
                shortcodes.add(connection, house.database.sealer, entry, replace=True)
        return SHORTCODES.place(shortcode)

    replaced: list[str] = []
    done = reseal(rotating, replace(SHORTCODES, place=replaced_meanwhile))
    assert (done.rows, done.busy) == (1, 0)
    with rotated.transaction() as connection:
        assert shortcodes.named(connection, rotated.sealer, SHORTCODE).credential == "An0ther1"


def test_a_change_of_another_column_meanwhile_does_not_matter(house: House, rotating: Database) -> None:
    def suspended_meanwhile(shortcode: str) -> str:
        rows(house, "UPDATE shortcodes SET password_told = 'ageing' RETURNING shortcode")
        return SHORTCODES.place(shortcode)

    done = reseal(rotating, replace(SHORTCODES, place=suspended_meanwhile), tries=1)
    assert done.rows == 1
    assert row(house, "SELECT password_told FROM shortcodes")["password_told"] == "ageing"


def test_two_rotations_at_once_do_the_work_once(
    house: House, rotating: Database, rotated: Database
) -> None:
    fill(house, balances=6)
    assert sum(at_once(lambda _: reseal(rotating, CALLBACKS, batch=1).rows, range(2))) == 6
    assert left(rotating)["test"] > 0
    rotate(rotating)
    assert open_all(rotated) == 6


def at_work(work: Callable[[], object], over: threading.Event, counted: Counter[int], name: int) -> None:
    while not over.is_set():
        work()
        counted[name] += 1


def test_under_load_nothing_ever_fails_to_open(
    house: House, bell: Bell, rotating: Database, rotated: Database, keys: dict[str, str], new: str
) -> None:
    """Some programs seal with the old key still, others with the new one; all open both."""
    fill(house, balances=10)
    sealers = parse_sealer(f"{keys['SEALING_KEYS']},{new}"), rotating.sealer
    houses = []
    for sealer in sealers:
        settings = replace(house.settings, database=replace(house.settings.database, sealer=sealer))
        callbacks = replace(settings.callbacks, sealer=sealer)
        houses.append(build(replace(settings, callbacks=callbacks), bell))

    def recorded_by(writer: House) -> Callable[[], object]:
        attempts = [begin(house, open_query(house.database)) for _ in range(20)]
        return lambda: record(writer, attempts.pop() if attempts else uuid4(), success())

    work = [recorded_by(one) for one in houses]
    work += [partial(open_all, one.database) for one in houses]
    counted: Counter[int] = Counter()
    over = threading.Event()
    with ThreadPoolExecutor(len(work)) as threads:
        running: list[Future[None]] = [
            threads.submit(at_work, one, over, counted, number) for number, one in enumerate(work)
        ]
        try:
            while len(counted) < len(work) or min(counted.values()) < 3:
                assert [one.exception() for one in running if one.done()] == []
                assert all(not one.broken for one in rotate(rotating, batch=5).values())
        finally:
            # They go on for ever otherwise, and so would this test.
            over.set()
        assert [one.result() for one in running] == [None] * len(work)
    for one in houses:
        one.database.close()
    rotate(rotating)
    assert left(rotating) == {}
    assert open_all(rotated) >= 10 + 3 + 3
    assert not rows(house, "SELECT FROM callbacks WHERE disposition = 'unreadable' OR disposition IS NULL")
    assert len(rows(house, "SELECT FROM balances")) > 10
    for one in houses:
        one.database.close()
