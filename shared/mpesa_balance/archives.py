"""Archives: files of what was removed from Postgres, a sealed batch a line, on disk before it is removed.

A line is JSON: {"archive": id, "number": n, "sealed": base64}. It stands for itself, so that files may be
renamed, and put together with `cat`. The envelope is sealed for "archives/<id>/<n>" and holds, compressed,
{"archived_at": ..., "tables": {table: {key: row}}}. A program that is killed before it removes a batch
archives it again: of rows that are there twice, the later ones count.
"""

import base64
import fcntl
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from mpesa_balance.errors import ArchiveUnavailable, SealBroken
from mpesa_balance.sealing import Sealer

#: Rows as JSON has them, by their table and their key in it.
Tables = Mapping[str, Mapping[str, Mapping[str, Any]]]

#: How every line begins.
_BEGINS: Final = b'{"archive":'

_NO_LINE: Final = "it is no line of an archive, or was changed"
_CUT_OFF: Final = (
    "it is cut off: either its program was ended while it wrote this, and removed nothing of it, or the "
    "file was not copied whole"
)
_CUT_OFF_BEFORE: Final = f"of what stands before its last batch, {_CUT_OFF}"


class Archive:
    """A new file that batches are added to; there is none until the first one is. Close it in the end."""

    def __init__(self, directory: Path, sealer: Sealer) -> None:
        self._sealer = sealer
        self._id = str(uuid4())
        self._file: int | None = None
        self.path = directory / f"retention-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{self._id}.jsonl"
        #: How many batches it holds, and how many bytes.
        self.batches = 0
        self.size = 0

    def add(self, tables: Tables) -> int:
        """Keep a batch: when this returns, it is on disk. Gives its bytes. Raises ArchiveUnavailable."""
        head = {"archive": self._id, "number": self.batches + 1}
        document = {"archived_at": datetime.now(UTC).isoformat(), "tables": tables}
        plain = zlib.compress(json.dumps(document).encode())
        line = _line(head, self._sealer.seal(plain, _place(head)))
        try:
            self._append(line)
        except OSError as error:
            self._take_back()
            raise unwritable(self.path, error) from error
        self.batches += 1
        self.size += len(line)
        return len(line)

    def close(self) -> None:
        """Let others reseal it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, line: bytes) -> None:
        if self._file is None:
            self._file = _created(self.path)
        _write(self._file, line)

    def _take_back(self) -> None:
        """Leave nothing of a batch that is not kept whole."""
        with suppress(OSError):
            if self.size:
                os.truncate(self.path, self.size)
            elif self._file is not None:
                self.path.unlink()


def unwritable(path: Path, error: OSError) -> ArchiveUnavailable:
    """What is said of a disk that takes no archive."""
    return ArchiveUnavailable(
        f"{path} cannot be written ({error.strerror}), so nothing is removed: the directory must be "
        "there, belong to this user and have room"
    )


def rows(
    sealer: Sealer, paths: Sequence[Path], tell: Callable[[str], None]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every row of these archives with its table, once; `tell` is told of each line that cannot be read."""
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for at, number, tables in _batches(sealer, paths, tell):
        last |= {(table, key): (at, number) for table, found in tables.items() for key in found}
    for at, number, tables in _batches(sealer, paths, lambda _: None):
        for table, found in tables.items():
            for key, row in found.items():
                if last[table, key] == (at, number):
                    yield table, row


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """What was done with an archive: lines sealed anew, and why others do not open."""

    lines: int
    problems: tuple[str, ...]


def reseal(sealer: Sealer, path: Path) -> Resealed:
    """Seal an archive anew with the first key; one that is killed leaves it as it was.

    What does not open is kept as it is. Raises ArchiveUnavailable, also while somebody writes to it.
    """
    anew = path.with_name(f".{path.name}.{uuid4()}")
    try:
        with path.open("rb") as archive:
            fcntl.flock(archive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file = _created(anew)
            try:
                done = _resealed(sealer, path, file)
            finally:
                os.close(file)
            if done.lines:
                anew.replace(path)
                _sync_directory(path)
    except BlockingIOError:
        raise ArchiveUnavailable(f"{path} is being written: try again when that program is done") from None
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        anew.unlink(missing_ok=True)
    return done


def _resealed(sealer: Sealer, path: Path, file: int) -> Resealed:
    done, problems = 0, []
    for number, line in _lines(path):
        kept = line
        try:
            head, sealed = _envelope(line)
            plain = sealer.open(sealed, _place(head))
            if not sealed.startswith(sealer.head):
                kept, done = _line(head, sealer.seal(plain, _place(head))), done + 1
        except SealBroken as broken:
            problems.append(_problem(path, number, broken))
        _write(file, kept)
    return Resealed(lines=done, problems=tuple(problems))


def _batches(
    sealer: Sealer, paths: Sequence[Path], tell: Callable[[str], None]
) -> Iterator[tuple[int, int, Tables]]:
    """What opens, with the number of its path and that of its line."""
    for at, path in enumerate(paths):
        for number, line in _lines(path):
            try:
                head, sealed = _envelope(line)
                plain = sealer.open(sealed, _place(head))
            except SealBroken as broken:
                tell(_problem(path, number, broken))
                continue
            if line.rfind(_BEGINS) > 0:
                tell(_problem(path, number, SealBroken(_CUT_OFF_BEFORE)))
            yield at, number, json.loads(zlib.decompress(plain))["tables"]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as archive:
        yield from enumerate(archive, 1)


def _envelope(line: bytes) -> tuple[dict[str, Any], bytes]:
    """What a line says of itself, and its envelope. Raises SealBroken."""
    if not line.endswith(b"\n"):
        raise SealBroken(_CUT_OFF)
    try:
        # In archives that were put together, one may go on in a line of which the program was ended.
        head = json.loads(line[max(line.rfind(_BEGINS), 0) :])
        return head, base64.b64decode(head.pop("sealed"), validate=True)
    # What is no JSON, and what is other JSON than ours.
    except (ValueError, TypeError, AttributeError, KeyError):
        raise SealBroken(_NO_LINE) from None


def _line(head: Mapping[str, Any], sealed: bytes) -> bytes:
    return json.dumps({**head, "sealed": base64.b64encode(sealed).decode()}).encode() + b"\n"


def _place(head: Mapping[str, Any]) -> str:
    return f"archives/{head.get('archive')}/{head.get('number')}"


def _problem(path: Path, number: int, broken: SealBroken) -> str:
    return f"{path}, line {number}: {broken}"


def _created(path: Path) -> int:
    """A new file that nobody else can read, locked, and in its directory for good."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    # Whoever reseals it meanwhile would put another file in its place, and this one would be lost.
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _sync_directory(path)
    return file


def _write(file: int, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[os.write(file, left) :]
    os.fsync(file)


def _sync_directory(path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
