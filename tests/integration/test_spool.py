"""The spool on a real disk: what it keeps, who holds it, and what a broken one costs."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from mpesa_balance.errors import SpoolUnavailable
from tests.integration.spooled import delivery, payloads_in
from webhooks.spool import Spool, age_seconds
from webhooks.spool_directory import SpoolDirectory


def test_what_was_written_is_there_in_its_order_when_it_is_opened_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "0.sqlite")
    first, second = delivery(), delivery(b"\x00\xff")
    spool.write([first, second])
    spool.close()
    again = Spool(tmp_path / "0.sqlite")
    assert [one.delivery for one in again.reader().after(0, 10)] == [first, second]
    assert again.depth == 2


def test_a_copy_of_a_spool_does_not_take_the_receipts_of_the_original(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "0.sqlite")
    spool.write([delivery()])
    spool.close()
    shutil.copy(spool.path, tmp_path / "1.sqlite")
    assert Spool(spool.path).id != Spool(tmp_path / "1.sqlite").id


def test_what_is_recorded_is_forgotten_and_its_number_is_never_used_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "0.sqlite")
    spool.write([delivery(), delivery()])
    numbers = [one.number for one in spool.reader().after(0, 10)]
    spool.write([], [*numbers, 4711])
    assert (spool.depth, spool.reader().after(0, 10)) == (0, [])
    spool.write([delivery()])
    assert [one.number for one in spool.reader().after(0, 10)] == [max(numbers) + 1]


def test_new_and_recorded_ones_share_a_commit(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "0.sqlite")
    spool.write([delivery(b"1"), delivery(b"2")])
    spool.write([delivery(b"3")], [1])
    assert payloads_in(spool.path) == [b"2", b"3"]


def test_only_its_owner_can_look_at_it(tmp_path: Path) -> None:
    os.umask(before := os.umask(0))
    directory = SpoolDirectory(tmp_path / "spool")
    try:
        os.umask(0)
        spool = directory.claim()
        spool.write([delivery()])
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()}
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}, modes


def test_a_torn_end_costs_what_was_not_answered_and_nothing_before_it(tmp_path: Path) -> None:
    """A power cut leaves any number of bytes of the journal: each of them must open to a beginning."""
    spool = Spool(tmp_path / "0.sqlite")
    bodies = [bytes([number]) * 900 for number in range(8)]
    for body in bodies:
        spool.write([delivery(body)])
    journal = (tmp_path / "0.sqlite-wal").read_bytes()
    seen = set()
    for kept in range(0, len(journal) + 1, 509):
        torn = tmp_path / "torn"
        torn.mkdir()
        shutil.copy(tmp_path / "0.sqlite", torn / "0.sqlite")
        (torn / "0.sqlite-wal").write_bytes(journal[:kept])
        left = Spool(torn / "0.sqlite")
        found = payloads_in(left.path)
        left.close()
        assert found == bodies[: len(found)]
        seen.add(len(found))
        shutil.rmtree(torn)
    assert seen >= set(range(len(bodies)))


def test_a_full_disk_is_said_and_what_was_kept_before_stays(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "0.sqlite")
    spool.write([delivery(b"kept")])
    # SQLite's own way to a full disk.
    spool._writer.execute("PRAGMA max_page_count = 4")
    with pytest.raises(SpoolUnavailable, match="has room"):
        spool.write([delivery(b"x" * 100_000)])
    assert (payloads_in(spool.path), spool.depth) == ([b"kept"], 1)
    spool._writer.execute("PRAGMA max_page_count = 1000000")
    spool.write([delivery(b"again")])
    assert payloads_in(spool.path) == [b"kept", b"again"]


def test_a_file_that_is_no_spool_is_kept_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / "0.sqlite").write_bytes(b"no database at all" * 100)
    spool = SpoolDirectory(tmp_path).claim()
    spool.write([delivery(b"new")])
    assert payloads_in(spool.path) == [b"new"]
    (aside,) = tmp_path.glob("*unreadable*")
    assert aside.read_bytes().startswith(b"no database at all")


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnavailable, match="SPOOL_DIR"):
        SpoolDirectory(tmp_path / "file" / "spool").claim()


def test_each_process_has_a_spool_of_its_own_and_takes_over_one_that_is_left(tmp_path: Path) -> None:
    one, other, next_one = (SpoolDirectory(tmp_path) for _ in range(3))
    first, second = one.claim(), other.claim()
    assert first.path != second.path
    first.write([delivery(b"left")])
    first.close()
    one.release()
    assert payloads_in(next_one.claim().path) == [b"left"]


def test_what_is_left_behind_is_found_and_what_is_held_is_not(tmp_path: Path) -> None:
    mine, ended = SpoolDirectory(tmp_path), SpoolDirectory(tmp_path)
    mine.claim().write([delivery(b"mine")])
    left = ended.claim()
    left.write([delivery(b"left")])
    left.close()
    with mine.left_behind() as none:
        assert none == []
    ended.release()
    with mine.left_behind() as (found,):
        assert payloads_in(found.path) == [b"left"]
        # Nobody else takes it over meanwhile.
        with SpoolDirectory(tmp_path).left_behind() as none:
            assert none == []


def test_what_the_disk_has_damaged_stays_and_holds_up_no_other(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "0.sqlite")
    spool.write([delivery(bytes([number])) for number in range(5)])
    for number, damaged in ((1, '{"atte'), (2, b"\xff\xfe"), (4, "{}")):
        spool._writer.execute("UPDATE deliveries SET message = ? WHERE number = ?", (damaged, number))
    spool._writer.execute("UPDATE deliveries SET message = CAST(message AS TEXT)")
    assert [one.number for one in spool.reader().after(0, 1)] == [3]
    assert payloads_in(spool.path) == [b"\x02", b"\x04"]
    spool.write([], [3, 5])
    assert (payloads_in(spool.path), spool.depth) == ([], 3)


def test_a_spool_that_cannot_be_opened_is_not_held_and_holds_up_no_other(tmp_path: Path) -> None:
    """What is in it is taken over as soon as it can be opened, by whoever runs then."""
    before = SpoolDirectory(tmp_path)
    left = before.claim()
    left.write([delivery(b"left")])
    left.close()
    before.release()
    (tmp_path / "0.sqlite").rename(tmp_path / "away")
    (tmp_path / "0.sqlite").mkdir()
    mine, ended = SpoolDirectory(tmp_path), SpoolDirectory(tmp_path)
    assert mine.claim().path.name == "1.sqlite"
    ended.claim().write([delivery(b"other")])
    ended.release()
    with mine.left_behind() as (found,):
        assert payloads_in(found.path) == [b"other"]
        found.write([], [1])
    (tmp_path / "0.sqlite").rmdir()
    (tmp_path / "away").rename(tmp_path / "0.sqlite")
    with mine.left_behind() as (found,):
        assert payloads_in(found.path) == [b"left"]


def test_the_age_of_the_oldest_is_known(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "0.sqlite")
    assert age_seconds(spool.reader().oldest_received_at()) == 0
    spool.write([delivery(age=90), delivery()])
    assert 89 < age_seconds(spool.reader().oldest_received_at()) < 100


def test_a_commit_is_on_the_disk_before_it_returns(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "0.sqlite")
    (full,) = spool._writer.execute("PRAGMA synchronous").fetchone()
    (journal,) = spool._writer.execute("PRAGMA journal_mode").fetchone()
    assert (full, journal) == (2, "wal")
    with pytest.raises(sqlite3.OperationalError):
        sqlite3.connect(f"file:{spool.path}?mode=ro", uri=True).execute("DELETE FROM deliveries")
