"""A spool of which the disk has spoiled a page: what can be read of it is kept and goes on."""

import sqlite3
from pathlib import Path

import pytest

from tests.integration.spooled import delivery, payloads_in
from webhooks.spool import Spool, SpoolReader
from webhooks.spool_directory import SpoolDirectory

PAGE = 4096
CALLBACKS = 200


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """A spool of many pages; the last but two is overwritten."""
    spool = Spool(tmp_path / "0.sqlite")
    spool.write([delivery(b"%d" % number) for number in range(CALLBACKS)])
    spool.close()
    pages = bytearray(spool.path.read_bytes())
    pages[-3 * PAGE : -2 * PAGE] = b"\xa5" * PAGE
    spool.path.write_bytes(pages)
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        SpoolReader(spool.path)._connection().execute("SELECT * FROM deliveries").fetchall()
    return spool.path


def read(path: Path) -> list[int]:
    return [int(payload) for payload in payloads_in(path)]


def test_what_is_behind_a_spoiled_page_is_read(spoiled: Path) -> None:
    found = read(spoiled)
    assert 0.8 * CALLBACKS < len(found) < CALLBACKS
    assert (found[0], found[-1], found) == (0, CALLBACKS - 1, sorted(set(found)))


def test_it_is_read_in_batches_to_its_end(spoiled: Path) -> None:
    reader, numbers = SpoolReader(spoiled), [0]
    while batch := reader.after(numbers[-1], 7):
        numbers += [one.number for one in batch]
    assert numbers[1:] == [number + 1 for number in read(spoiled)]


def test_a_process_that_claims_it_keeps_it_aside_and_goes_on_with_what_can_be_read(spoiled: Path) -> None:
    before = read(spoiled)
    claimed = SpoolDirectory(spoiled.parent).claim()
    assert (read(claimed.path), claimed.depth) == (before, len(before))
    (aside,) = spoiled.parent.glob("*unreadable*[0-9]")
    assert read(aside) == before
