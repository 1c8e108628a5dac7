"""Attending the line of an app: those who are due are put to Daraja, and what comes back is recorded."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from structlog.contextvars import bound_contextvars

from mpesa_balance import beginnings, line, logs
from mpesa_balance.apps import App
from mpesa_balance.attempts import Attempt
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.database import DATABASE_FAULTS
from mpesa_balance.errors import DarajaError, MpesaBalanceError, Unavailable
from mpesa_balance.line import SPACING
from worker import asking, lines, recording
from worker.house import House
from worker.recording import Answered, Outcome
from worker.turns import Turn

logger = logs.get_logger(__name__)

#: How often whoever attends a line looks at it, and at what has come back, in seconds: a look costs
#: several times what one more query in it does. Where others come, so many times as long.
_GATHERED: Final = 0.05
_WHERE_BUSY: Final = 4

#: So long one task attends a line, in seconds; then another goes on. What it still waits for is answered
#: within its limits.
_LONGEST: Final = 5.0


def submit(
    house: House, query_id: UUID, most: int = beginnings.TOGETHER, gathered: float = _GATHERED
) -> None:
    """Attend the line of this query's app until nobody is due in it.

    most: how many are asked for at one moment. gathered: how long somebody else may take to come, in
    seconds, to be served without a bell.
    Attempts are committed before anything is sent, and no transaction is open meanwhile: a process
    that dies in between leaves attempts whose callbacks still find their queries.
    """
    with bound_contextvars(query_id=query_id):
        with house.database.transaction() as connection:
            app = line.app_of(connection, house.database.sealer, query_id)
        if app is None:
            logger.warning("query_unknown", reason="it is not known here, and was not submitted")
            return
        _Attendant(house, app, most, gathered).serve()


@dataclass(slots=True)
class _Attendant:
    """Whoever attends a line, and what he waits for."""

    house: House
    app: App
    most: int
    gathered: float
    asked: "dict[Future[Outcome], Attempt]" = field(default_factory=dict)
    #: Whether somebody may be due in the line; and when to look at it again while answers are waited for.
    goes_on: bool = True
    looks_again_at: float = float("inf")
    is_busy: bool = False
    has_handed_on: bool = False
    is_left: bool = False
    #: What nobody had foreseen: it is raised when all that is known is recorded.
    failed: BaseException | None = None

    @property
    def pause(self) -> float:
        """From one look to the next, in seconds."""
        return self.gathered * (_WHERE_BUSY if self.is_busy else 1)

    def serve(self) -> None:
        """Look, ask, record, and look again, for as long as somebody is due or comes a moment later."""
        leaves_at = time.monotonic() + _LONGEST
        lines.attend(self.house, self.app.name)
        try:
            while not self.is_left and time.monotonic() < leaves_at:
                self._look()
            if not self.is_left:
                self._hand_on()
        finally:
            # What was sent is answered, whatever has become of us.
            while self.asked:
                with self._going_on():
                    if self._record_what_is_back():
                        self._ring_for_next()
        if self.failed is not None:
            raise self.failed

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        # Others are still waited for, and nobody else will hear what comes back for them.
        try:
            yield
        except (MpesaBalanceError, DATABASE_FAULTS) as error:
            self.failed = self.failed or error

    def _look(self) -> None:
        looked_at = time.monotonic()
        # Whoever waits for answers only has left the line to others.
        if len(self.asked) < self.most:
            has_come = lines.attend(self.house, self.app.name)
            self.is_busy |= has_come
            if has_come or self.goes_on or looked_at >= self.looks_again_at:
                self._begin()
        self.goes_on = self._record_what_is_back()
        if not (self.asked or self.goes_on):
            # Whoever comes a moment later is served without a bell.
            time.sleep(max(looked_at + self.pause - time.monotonic(), 0))
            self.goes_on = lines.leave(self.house, self.app.name)
            self.is_left = not self.goes_on

    def _begin(self) -> None:
        # Before a slot is taken: whoever waits for a token to be minted would miss it.
        token, room = self._token(), self.most - len(self.asked)
        settings, database = self.house.settings, self.house.database
        with database.transaction() as connection:
            grace = settings.submission_grace + settings.daraja_timeout
            begun = beginnings.begin(connection, database.sealer, self.app.name, grace, room)
            crash_at(CrashPoint.ATTEMPT_NOT_COMMITTED)
        self.looks_again_at = float("inf")
        if not begun:
            logger.info("nothing_due")
            return
        # What it is told by now: somebody may have replaced its credentials.
        self.app = begun[0].app
        self._send(begun, token)
        self.looks_again_at = time.monotonic() + max(
            SPACING / float(self.app.requests_per_second), self.pause
        )
        if len(begun) == room and not self.has_handed_on:
            self._hand_on()
            self.has_handed_on = True

    def _send(self, begun: Sequence[Attempt], token: str | DarajaError | Unavailable) -> None:
        crash_at(CrashPoint.ATTEMPT_NOT_SENT)
        for attempt in begun:
            # Its slot is counted from now, however long a thread for it takes to come.
            turn, context = Turn(self.house.database, attempt), copy_context()
            sent = self.house.senders.submit(context.run, asking.ask, self.house, attempt, turn, token)
            self.asked[sent] = attempt

    def _token(self) -> str | DarajaError | Unavailable:
        """The app's token, or as a value why there is none."""
        try:
            return self.house.tokens.current(self.app)
        except (DarajaError, Unavailable) as error:
            return error

    def _hand_on(self) -> None:
        """Let another attendant come, where somebody is next."""
        # Before the look: whoever comes after it finds nobody here, and rings.
        lines.leave(self.house, self.app.name)
        self._ring_for_next()

    def _ring_for_next(self) -> None:
        # Each bell brings an attendant, who may ring as well: one from each is enough while any waits.
        if self.has_handed_on and lines.are_bells_waiting(self.house):
            return
        with self.house.database.transaction() as connection:
            next_in_line = line.first_of(connection, self.app.name)
        if next_in_line is not None:
            crash_at(CrashPoint.NEXT_NOT_RUNG)
            lines.ring(self.house, self.app.name, next_in_line)

    def _record_what_is_back(self) -> bool:
        """Record, together, what comes back within a moment; whether somebody is next in the line."""
        wait(self.asked, self.pause)
        back: list[Answered] = []
        for one in [one for one in self.asked if one.done()]:
            attempt = self.asked.pop(one)
            if (failed := one.exception()) is None:
                back.append(Answered(attempt, one.result()))
            else:
                # Its attempt stays as one of which nobody knows what became.
                self.failed = self.failed or failed
        if not back:
            return False
        crash_at(CrashPoint.ANSWER_NOT_RECORDED)
        return recording.record(self.house, back)
