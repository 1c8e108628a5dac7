"""Files that are sent while they are written: a thread writes, the answer reads, neither runs far ahead."""

import io
import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any, Final, cast

from mpesa_balance import logs, tabular
from mpesa_balance.database import DATABASE_FAULTS, Database
from mpesa_balance.errors import MpesaBalanceError, Unavailable
from mpesa_balance.exports import Export, Selection
from mpesa_balance.tabular import Row

logger = logs.get_logger(__name__)

#: So many are sent at once, and one for each person: each holds a thread and a connection for minutes.
AT_ONCE: Final = 3

#: So many pieces wait to be sent, of so many bytes each.
_PIECES: Final = 16
_PIECE: Final = 64 * 1024

#: How long a reader may take for a piece, in seconds; then nothing more is written for him.
_PATIENCE: Final = 60


class _Gone(OSError):
    """Nobody reads any more."""


class _Pipe(io.RawIOBase):
    """What is written is handed on, piece by piece."""

    def __init__(self) -> None:
        self.pieces: queue.Queue[bytes | None] = queue.Queue(_PIECES)
        self.is_whole = False
        self.is_left = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self.put(piece)
        return len(piece)

    def put(self, piece: bytes | None) -> None:
        """Hand a piece on, or with None the end. Raises _Gone where nobody takes it."""
        if self.is_left:
            raise _Gone
        try:
            self.pieces.put(piece, timeout=_PATIENCE)
        except queue.Full:
            # Whatever is flushed after this must not wait as long again.
            self.is_left = True
            raise _Gone from None

    def leave(self) -> None:
        """Nobody reads from now on: whoever writes and waits finds room, and then that."""
        self.is_left = True
        with suppress(queue.Empty):
            while True:
                self.pieces.get_nowait()

    def while_read(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, for as long as somebody reads what is made of them."""
        for row in rows:
            if self.is_left:
                raise _Gone
            yield row


class Exports:
    """Sends exports, with connections of its own: pages never wait for those who read slowly."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._people: set[str] = set()

    def sent(self, export: Export, selection: Selection, ending: str, name: str) -> Iterator[bytes]:
        """The bytes of an export for a person. Raises Unavailable where too many are under way.

        Where it cannot be brought to its end the iterator raises ConnectionAbortedError: then the answer
        is broken off, so that nobody takes a part for the whole.
        """
        self._begin(name)
        pipe = _Pipe()

        def write() -> None:
            try:
                self._write(pipe, export, selection, ending)
            finally:
                self._end(name)

        threading.Thread(target=write, name="export", daemon=True).start()
        return _read(pipe)

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

    def _write(self, pipe: _Pipe, export: Export, selection: Selection, ending: str) -> None:
        try:
            with self._database.transaction() as connection, io.BufferedWriter(pipe, _PIECE) as file:
                rows = pipe.while_read(export.rows(connection, self._database.sealer, selection))
                tabular.write(cast("IO[bytes]", file), ending, export.columns, rows)
                file.flush()
                pipe.is_whole = True
        except _Gone:
            logger.info("export_left")
        except (MpesaBalanceError, DATABASE_FAULTS) as error:
            logger.error("export_failed", reason=str(error))  # noqa: TRY400
        finally:
            with suppress(_Gone):
                pipe.put(None)


def _read(pipe: _Pipe) -> Iterator[bytes]:
    try:
        while (piece := pipe.pieces.get()) is not None:
            yield piece
    finally:
        pipe.leave()
    if not pipe.is_whole:
        raise ConnectionAbortedError("the export was not brought to its end")
