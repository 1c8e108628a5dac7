"""What has changed in Postgres, for pages that follow it: one look a second, however many there are."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from uuid import UUID

from mpesa_balance import happened
from mpesa_balance.database import Database
from mpesa_balance.errors import Unavailable
from mpesa_balance.happened import Move

#: So many pages can follow at once: each holds a thread of the server. Others come again and ask.
MOST: Final = 32
MOST_OF_ONE: Final = 8

#: How often it looks, in seconds.
EVERY: Final = 1.0

#: How long a page waits until that has begun, in seconds; where Postgres is away it never does.
_FIRST_LOOK: Final = 5.0

#: The numbers of moves are given out before they are committed: one may turn up below others for so long,
#: in seconds, which is longer than any transaction of ours may last.
_LATE_FOR: Final = 15.0

#: So many moves before the newest are looked at when looking begins.
_OVERLAP: Final = 100

#: So many changes are remembered.
_REMEMBERED: Final = 1000

#: Where nothing changes, a page hears so often that it is still followed, in seconds.
_SILENT_FOR: Final = 4.0


class Change(NamedTuple):
    """Shortcodes of which something has changed, and where to go on from after that."""

    shortcodes: frozenset[str]
    mark: int


class Changes:
    """Tells of shortcodes whose queries or alerts have moved. Looks only while somebody follows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._told: deque[tuple[int, str]] = deque(maxlen=_REMEMBERED)
        self._count = 0
        self._mark = 0
        self._followers = Counter[str]()
        self._looker: threading.Thread | None = None
        self._has_looked = False

    def follow(self, seconds: float, mark: int, name: str) -> Iterator[Change]:
        """What has changed, each time that something has, or nothing after a while; for so long.

        mark: that of the last change which the page has heard of, or of the moment when it was made: what
        came between then and now is told first. Where too many follow, all together or with this name,
        that is all that is told.
        """
        ends = time.monotonic() + seconds
        is_one_too_many, at = self._enter(name)
        try:
            # What is committed after the first look is told by that; this finds what was before.
            yield self._moved_since(mark)
            while not is_one_too_many and (left := ends - time.monotonic()) > 0:
                found, at = self._next(at, min(left, _SILENT_FOR))
                mark = max(mark, found.mark)
                yield Change(found.shortcodes, mark)
        finally:
            with self._changed:
                self._followers[name] -= 1
                self._followers += Counter()  # Without those who have gone.

    def _enter(self, name: str) -> tuple[bool, int]:
        """Follow from now on; whether that is one too many, and how many changes have been told by now."""
        with self._changed:
            self._followers[name] += 1
            is_one_too_many = self._followers.total() > MOST or self._followers[name] > MOST_OF_ONE
            self._begin_looking()
            self._changed.wait_for(lambda: self._has_looked, _FIRST_LOOK)
            return is_one_too_many, self._count

    def _next(self, at: int, timeout: float) -> tuple[Change, int]:
        with self._changed:
            self._changed.wait_for(lambda: self._count > at, timeout)
            found = frozenset(name for number, name in self._told if number > at)
            return Change(found, self._mark), self._count

    def _moved_since(self, mark: int) -> Change:
        with self._database.transaction() as connection:
            moves = happened.since(connection, mark)
        numbers = [one.number for one in moves]
        return Change(frozenset(one.shortcode for one in moves), max(numbers, default=mark))

    def _begin_looking(self) -> None:
        if self._looker is None or not self._looker.is_alive():
            self._has_looked = False
            self._looker = threading.Thread(target=self._look, name="changes", daemon=True)
            self._looker.start()

    def _look(self) -> None:
        seen = _Seen()
        while True:
            with self._changed:
                if not self._followers:
                    self._looker = None
                    return
            self._tell(self._news(seen), seen)
            time.sleep(EVERY)

    def _news(self, seen: "_Seen") -> list[str]:
        try:
            with self._database.transaction() as connection:
                if seen.floor is None:
                    seen.begin(happened.newest(connection))
                alerts = seen.alerted(happened.open_alerts(connection))
                return [*seen.new(happened.since(connection, seen.floor or 0)), *alerts]
        except Unavailable:
            # The pages say so themselves when somebody asks them for something.
            return []

    def _tell(self, shortcodes: list[str], seen: "_Seen") -> None:
        with self._changed:
            self._has_looked = seen.floor is not None
            self._mark = max(seen.floor or 0, self._mark)
            for shortcode in shortcodes:
                self._count += 1
                self._told.append((self._count, shortcode))
            self._changed.notify_all()


class _Seen:
    """Which moves were seen, back to where none can turn up any more; and which alerts were open."""

    def __init__(self) -> None:
        self.floor: int | None = None
        self._numbers: dict[int, float] = {}
        self._begun_at = 0
        self._open: Mapping[UUID, str] | None = None

    def begin(self, newest: int) -> None:
        """Take what there is by now for seen, save what may still turn up among it."""
        self.floor, self._begun_at = max(newest - _OVERLAP, 0), newest

    def new(self, moves: Iterable[Move]) -> list[str]:
        """The shortcodes of those that were not seen before."""
        now, is_first = time.monotonic(), not self._numbers
        found = [one for one in moves if one.number not in self._numbers]
        self._numbers |= {one.number: now for one in found}
        settled = [number for number, at in self._numbers.items() if now - at > _LATE_FOR]
        self.floor = max((*settled, self.floor or 0))
        self._numbers = {number: at for number, at in self._numbers.items() if number >= self.floor}
        told = [one for one in found if not is_first or one.number > self._begun_at]
        return list(dict.fromkeys(one.shortcode for one in told))

    def alerted(self, alerts: Mapping[UUID, str]) -> set[str]:
        """The shortcodes of which an alert has been raised or is over since the last look."""
        before, self._open = alerts if self._open is None else self._open, alerts
        return {alerts.get(one) or before[one] for one in alerts.keys() ^ before.keys()}
