"""Files that are sent while they are written: a thread writes, the answer reads, neither runs far ahead."""

import io
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any, Final, cast

from mpesa_balance import logs, tabular
from mpesa_balance.database import DATABASE_FAULTS, Database
from mpesa_balance.errors import Forbidden, MpesaBalanceError, Unavailable
from mpesa_balance.exports import Export, Selection
from mpesa_balance.tabular import Row

logger = logs.get_logger(__name__)

#: So many are sent at once, and one for each person: each holds a thread and a connection for minutes.
AT_ONCE: Final = 3

#: So many pieces wait to be sent, of so many bytes each.
_PIECES: Final = 16
_PIECE: Final = 64 * 1024

#: How often it is looked whether he who reads still may, in seconds.
_LOOK_EVERY: Final = 5


class _Gone(OSError):
    """Nobody reads any more."""


class _Pipe(io.RawIOBase):
    """What is written is handed on, piece by piece; one writes, and one reads."""

    def __init__(self, patience: float) -> None:
        self._pieces: deque[bytes] = deque()
        self._moved = threading.Condition()
        self._patience = patience
        self._is_over = False
        self.is_whole = False
        self.is_left = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        """Hand a piece on. Raises _Gone where nobody takes it."""
        piece = bytes(data)
        with self._moved:
            if not self._moved.wait_for(self._is_asked, self._patience):
                # Whatever is flushed after this must not wait as long again.
                self.is_left = True
            if self.is_left:
                raise _Gone
            self._pieces.append(piece)
            self._moved.notify_all()
        return len(piece)

    def _is_asked(self) -> bool:
        return len(self._pieces) < _PIECES or self.is_left

    def end(self) -> None:
        """Nothing more is written: whoever reads gets what is there, and then the end."""
        with self._moved:
            self._is_over = True
            self._moved.notify_all()

    def take(self) -> bytes | None:
        """The next piece, however long it takes to be written; None at the end."""
        with self._moved:
            self._moved.wait_for(lambda: self._pieces or self._is_over)
            piece = self._pieces.popleft() if self._pieces else None
            self._moved.notify_all()
        return piece

    def leave(self) -> None:
        """Nobody reads from now on: whoever writes and waits hears of it."""
        with self._moved:
            self.is_left = True
            self._moved.notify_all()

    def while_read(self, rows: Iterable[Row], may_go_on: Callable[[], bool]) -> Iterator[Row]:
        """The rows, for as long as somebody reads what is made of them, and may."""
        due = time.monotonic() + _LOOK_EVERY
        for row in rows:
            if self.is_left:
                raise _Gone
            if time.monotonic() >= due:
                if not may_go_on():
                    raise Forbidden("whoever has it sent to him may not have it any more")
                due = time.monotonic() + _LOOK_EVERY
            yield row


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is sent to whom.

    may_go_on: asked every few seconds; where it says no, the answer is broken off.
    """

    export: Export
    selection: Selection
    ending: str
    name: str
    may_go_on: Callable[[], bool]


class Exports:
    """Sends exports, with connections of its own: pages never wait for those who read slowly.

    patience: how long a reader may take for a piece, in seconds; then nothing more is written for him.
    """

    def __init__(self, database: Database, patience: float = 60) -> None:
        self._database = database
        self._patience = patience
        self._lock = threading.Lock()
        self._people: set[str] = set()

    def sent(self, wanted: Wanted, at_first: Callable[[], None]) -> Iterator[bytes]:
        """The bytes of an export for a person. Raises Unavailable where too many are under way.

        at_first: done as soon as there is room for it, and before anything is read.
        Where it cannot be brought to its end the iterator raises ConnectionAbortedError: then the answer
        is broken off, so that nobody takes a part for the whole.
        """
        self._begin(wanted.name)
        pipe = _Pipe(self._patience)
        with ExitStack() as undone:
            undone.callback(self._end, wanted.name)
            at_first()
            threading.Thread(target=self._run, args=(pipe, wanted), name="export", daemon=True).start()
            # There is room for another one when this one has been read, and not when it was written.
            return _Reading(pipe, undone.pop_all().close)

    def _begin(self, name: str) -> None:
        with self._lock:
            if name in self._people:
                raise Unavailable("another export of yours is under way: let it end, then try again")
            if len(self._people) >= AT_ONCE:
                raise Unavailable(f"{AT_ONCE} exports are under way: try again in a moment")
            self._people.add(name)

    def _end(self, name: str) -> None:
        with self._lock:
            self._people.discard(name)

    def _run(self, pipe: _Pipe, wanted: Wanted) -> None:
        try:
            self._write(pipe, wanted)
        except _Gone:
            logger.info("export_left")
        except (MpesaBalanceError, DATABASE_FAULTS) as error:
            logger.error("export_failed", reason=str(error))  # noqa: TRY400
        finally:
            pipe.end()

    def _write(self, pipe: _Pipe, wanted: Wanted) -> None:
        export = wanted.export
        with self._database.transaction() as connection, io.BufferedWriter(pipe, _PIECE) as file:
            rows = export.rows(connection, self._database.sealer, wanted.selection)
            read = pipe.while_read(rows, wanted.may_go_on)
            tabular.write(cast("IO[bytes]", file), wanted.ending, export.columns, read)
            file.flush()
            pipe.is_whole = True


class _Reading(Iterator[bytes]):
    """What the server sends; it closes what it has begun to send, or only asked for."""

    def __init__(self, pipe: _Pipe, done: Callable[[], None]) -> None:
        self._pipe = pipe
        self._done = weakref.finalize(self, _left, pipe, done)

    def __next__(self) -> bytes:
        piece = self._pipe.take()
        if piece is not None:
            return piece
        if not self._pipe.is_whole:
            raise ConnectionAbortedError("the export was not brought to its end")
        raise StopIteration

    def close(self) -> None:
        """Nobody reads any more."""
        self._done()


def _left(pipe: _Pipe, done: Callable[[], None]) -> None:
    pipe.leave()
    done()
