"""SPOOL_DIR: which process holds which spool, and what ended processes left in theirs."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Final

from mpesa_balance import logs
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import SpoolUnavailable
from webhooks.spool import Spool, SpoolReader

logger = logs.get_logger(__name__)

#: More processes of one webhook tier than any machine runs.
_MOST_SPOOLS: Final = 256

#: So many deliveries are read at a time.
_BATCH: Final = 500


class SpoolDirectory:
    """A directory of spools. A process holds one by its lock, which ends with the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: list[IO[str]] = []

    def claim(self) -> Spool:
        """A spool for this process alone: the first that nobody holds, with whatever is in it."""
        self._make()
        for number in range(_MOST_SPOOLS):
            is_new = not (self.path / f"{number}.sqlite").exists()
            lock = self._lock(number)
            if lock is None:
                continue
            try:
                spool = self._open(number)
            except SpoolUnavailable:
                # Not held: what is in it is taken over when it can be opened again.
                lock.close()
                if is_new:
                    raise
            else:
                self._held.append(lock)
                return spool
        raise SpoolUnavailable(
            f"all {_MOST_SPOOLS} spools in SPOOL_DIR {self.path} are held or broken: give this process "
            "another directory, and look at those that no process holds"
        )

    @contextmanager
    def left_behind(self) -> Iterator[list[Spool]]:
        """The spools that are not empty and whose processes have ended, held meanwhile."""
        numbers = [int(path.stem) for path in self.path.glob("*.sqlite") if path.stem.isdecimal()]
        locks = {number: lock for number in sorted(numbers) if (lock := self._lock(number)) is not None}
        spools = [spool for number in locks if (spool := self._open_if_it_can_be(number)) is not None]
        try:
            yield [spool for spool in spools if spool.depth]
        finally:
            for spool in spools:
                spool.close()
            for lock in locks.values():
                lock.close()

    def release(self) -> None:
        """Let others have what this process held."""
        while self._held:
            self._held.pop().close()

    def _make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SpoolUnavailable(
                f"SPOOL_DIR {self.path} cannot be made: {error.strerror}. "
                "Let this user make it, or choose another"
            ) from error

    def _lock(self, number: int) -> IO[str] | None:
        try:
            lock = os.fdopen(os.open(self.path / f"{number}.lock", os.O_CREAT | os.O_RDWR, 0o600), "r+")
        except OSError as error:
            raise SpoolUnavailable(
                f"SPOOL_DIR {self.path} cannot be written: {error.strerror}. "
                "Give it to this user, or choose another"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock

    def _open_if_it_can_be(self, number: int) -> Spool | None:
        try:
            return self._open(number)
        except SpoolUnavailable as error:
            # It holds up no others.
            logger.warning("left_spool_stays_there", reason=str(error))
            return None

    def _open(self, number: int) -> Spool:
        path = self.path / f"{number}.sqlite"
        try:
            return Spool(path)
        except sqlite3.DatabaseError as error:
            aside = path.with_suffix(f".unreadable-{time.time_ns()}")
            logger.warning(
                "spool_unreadable_and_begun_anew", path=path, kept_as=aside.name, reason=str(error)
            )
            for suffix in ("", "-wal", "-shm"):
                damaged = path.with_name(path.name + suffix)
                if damaged.exists():
                    damaged.rename(aside.with_name(aside.name + suffix))
            spool = Spool(path)
            _save(aside, spool)
            return spool


def _save(damaged: Path, spool: Spool) -> None:
    """Keep anew what can still be read of a damaged spool."""
    try:
        found = list(deliveries_in(damaged))
    except SpoolUnavailable as error:
        logger.warning("damaged_spool_not_saved", path=damaged, reason=str(error))
        return
    spool.write(found)
    logger.warning("damaged_spool_saved", path=damaged, callbacks=len(found))


def spools_in(path: Path) -> list[Path]:
    """The files of all spools in a directory, held or not. Raises SpoolUnavailable where it has none."""
    try:
        found = sorted(file for file in path.iterdir() if file.suffix == ".sqlite")
    except OSError as error:
        raise SpoolUnavailable(f"SPOOL_DIR {path} cannot be read here: {error.strerror}") from error
    if not found:
        raise SpoolUnavailable(f"there is no spool in SPOOL_DIR {path}")
    return found


def deliveries_in(spool: Path) -> Iterator[Delivery]:
    """Everything in a spool, whoever holds it; nothing is taken. Raises SpoolUnavailable."""
    reader, after = SpoolReader(spool), 0
    with closing(reader):
        while batch := reader.after(after, _BATCH):
            yield from (one.delivery for one in batch)
            after = batch[-1].number
