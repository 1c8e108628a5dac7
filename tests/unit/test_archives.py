"""Archives: on disk when they say so, sealed, readable for ever, and not spoilt by one bad line."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mpesa_balance import archives
from mpesa_balance.archives import Archive, reseal
from mpesa_balance.errors import ArchiveUnavailable
from mpesa_balance.sealing import Sealer, new_key, parse_sealer

NEW = f"new:{new_key()}"
AMOUNT = "700000.00"


def batch(*keys: str, state: str = "completed") -> dict[str, dict[str, dict[str, Any]]]:
    return {"balances": {key: {"query_id": key, "document": AMOUNT, "state": state} for key in keys}}


def written(folder: Path, sealer: Sealer, *batches: dict[str, Any]) -> Path:
    with closing(Archive(folder, sealer)) as archive:
        for one in batches:
            archive.add(one)
    return archive.path


def read(sealer: Sealer, *paths: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """The key and the state of each row, and what cannot be read."""
    problems: list[str] = []
    found = [(row["query_id"], row["state"]) for _, row in archives.rows(sealer, paths, problems.append)]
    return found, problems


@pytest.fixture
def both(keys: dict[str, str]) -> Sealer:
    """Seals with the new key, and opens with the old one too."""
    return parse_sealer(f"{NEW},{keys['SEALING_KEYS']}")


@pytest.fixture
def archive(tmp_path: Path, sealer: Sealer) -> Path:
    """Three lines."""
    return written(tmp_path, sealer, batch("a", "b"), batch("c"), batch("d"))


def test_what_is_added_is_read_again_and_nothing_of_it_is_in_the_clear(
    archive: Path, sealer: Sealer
) -> None:
    assert read(sealer, archive) == ([(key, "completed") for key in "abcd"], [])
    assert b"700000" not in archive.read_bytes()
    assert b"balances" not in archive.read_bytes()


def test_nobody_else_may_read_it_and_its_name_says_when_it_was_made(archive: Path) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    assert archive.match("retention-2[0-9][0-9][0-9][0-1][0-9][0-3][0-9]T*Z-*.jsonl")


def test_there_is_no_file_before_there_is_something_in_it(tmp_path: Path, sealer: Sealer) -> None:
    written(tmp_path, sealer)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_is_on_disk_when_it_is_added_and_its_bytes_are_counted(
    tmp_path: Path, sealer: Sealer
) -> None:
    with closing(Archive(tmp_path, sealer)) as archive:
        sizes = [archive.add(batch("a")), archive.add(batch("b"))]
        assert archive.size == sum(sizes) == archive.path.stat().st_size
        assert read(sealer, archive.path) == ([("a", "completed"), ("b", "completed")], [])


def test_rows_that_were_archived_twice_are_there_once_as_they_were_last(
    tmp_path: Path, sealer: Sealer
) -> None:
    """Somebody was killed before he removed them, and a late result came."""
    first = written(tmp_path, sealer, batch("a", "b", state="timed_out"))
    second = written(tmp_path, sealer, batch("b"), batch("c"))
    found = [("a", "timed_out"), ("b", "completed"), ("c", "completed")]
    assert read(sealer, first, second) == (found, [])


def test_files_may_be_renamed_and_put_together(tmp_path: Path, sealer: Sealer, archive: Path) -> None:
    other = written(tmp_path, sealer, batch("e"))
    together = tmp_path / "november"
    together.write_bytes(archive.read_bytes() + other.read_bytes())
    assert read(sealer, together) == ([(key, "completed") for key in "abcde"], [])


def changed(line: bytes) -> bytes:
    """With one bit of its envelope turned."""
    document = json.loads(line)
    sealed = bytearray(base64.b64decode(document["sealed"]))
    sealed[-1] ^= 1
    return json.dumps(document | {"sealed": base64.b64encode(sealed).decode()}).encode() + b"\n"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (changed, "does not open"),
        (lambda line: line.replace(b'"number": 2', b'"number": 3'), "does not open"),
        (lambda line: line.replace(b'"sealed": "', b'"sealed": "#'), "no line of an archive"),
        (lambda line: line[:40] + b"\n", "no line of an archive"),
        (lambda _: b"\n", "no line of an archive"),
        (lambda _: b"[1]\n", "no line of an archive"),
        (lambda _: b'{"sealed": 7}\n', "no line of an archive"),
        (lambda _: b'{"sealed": ""}\n', "not a sealed envelope"),
        (lambda _: b"\xff\xfe\x00\n", "no line of an archive"),
    ],
)
def test_a_damaged_line_is_told_by_its_number_and_the_others_are_read(
    archive: Path, sealer: Sealer, spoil: Callable[[bytes], bytes], said: str
) -> None:
    first, second, third = archive.read_bytes().splitlines(keepends=True)
    archive.write_bytes(first + spoil(second) + third)
    found, (problem,) = read(sealer, archive)
    assert found == [(key, "completed") for key in "abd"]
    assert problem.startswith(f"{archive}, line 2: ")
    assert said in problem


@pytest.mark.parametrize("cut", [1, 50, 200])
def test_the_line_that_was_being_written_when_its_program_was_killed_is_told(
    archive: Path, sealer: Sealer, cut: int
) -> None:
    archive.write_bytes(archive.read_bytes()[:-cut])
    found, (problem,) = read(sealer, archive)
    assert found == [(key, "completed") for key in "abc"]
    assert "line 3: it is cut off" in problem


def test_what_follows_a_line_that_was_cut_off_is_read_where_archives_were_put_together(
    tmp_path: Path, sealer: Sealer, archive: Path
) -> None:
    other = written(tmp_path, sealer, batch("e"))
    together = tmp_path / "november"
    together.write_bytes(archive.read_bytes()[:-50] + other.read_bytes())
    found, (problem,) = read(sealer, together)
    assert found == [(key, "completed") for key in "abce"]
    assert "line 3: of what stands before its last batch, it is cut off" in problem


def test_a_key_that_is_missing_is_named(archive: Path) -> None:
    found, problems = read(parse_sealer(NEW), archive)
    assert found == []
    assert all("sealed with key 'test': add that key to SEALING_KEYS" in problem for problem in problems)


def test_a_disk_that_takes_nothing_leaves_nothing_behind(
    tmp_path: Path, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for before in ([], [batch("a")]):
        with closing(Archive(tmp_path, sealer)) as archive:
            for one in before:
                archive.add(one)
            with monkeypatch.context() as full, pytest.raises(ArchiveUnavailable, match="No space left"):
                full.setattr(archives, "_write", half_written)
                archive.add(batch("b"))
    (left,) = tmp_path.iterdir()
    assert read(sealer, left) == ([("a", "completed")], [])


def half_written(file: int, line: bytes) -> None:
    """What a full disk does."""
    archives.os.write(file, line[: len(line) // 2])
    raise OSError(28, "No space left on device")


def test_it_is_sealed_anew_with_the_first_key(archive: Path, both: Sealer) -> None:
    assert reseal(both, archive) == archives.Resealed(lines=3, problems=())
    assert read(parse_sealer(NEW), archive) == ([(key, "completed") for key in "abcd"], [])
    assert archive.stat().st_mode & 0o777 == 0o600
    assert list(archive.parent.iterdir()) == [archive]


def test_what_has_the_first_key_is_left_as_it_is(archive: Path, both: Sealer) -> None:
    reseal(both, archive)
    before = archive.stat()
    assert reseal(both, archive).lines == 0
    assert archive.stat() == before


def test_what_does_not_open_stays_in_it_as_it_is(archive: Path, both: Sealer) -> None:
    first, second, third = archive.read_bytes().splitlines(keepends=True)
    archive.write_bytes(first + changed(second) + third)
    done = reseal(both, archive)
    assert done.lines == 2
    assert f"{archive}, line 2: " in done.problems[0]
    assert changed(second) in archive.read_bytes()
    assert read(parse_sealer(NEW), archive)[0] == [(key, "completed") for key in "abd"]


@pytest.fixture
def being_written(tmp_path: Path, sealer: Sealer) -> Iterator[Archive]:
    with closing(Archive(tmp_path, sealer)) as archive:
        archive.add(batch("a"))
        yield archive


def test_nobody_seals_anew_what_is_being_written(being_written: Archive, both: Sealer) -> None:
    """What is added after that would go with the old file."""
    with pytest.raises(ArchiveUnavailable, match="is being written: try again"):
        reseal(both, being_written.path)
    being_written.add(batch("b"))
    being_written.close()
    assert reseal(both, being_written.path).lines == 2
    assert list(being_written.path.parent.iterdir()) == [being_written.path]
