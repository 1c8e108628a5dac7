"""An attempt's turn: it is sent in its slot, or in a later one where it was not ready in time."""

import time
from typing import Final

from mpesa_balance import line
from mpesa_balance.attempts import Attempt
from mpesa_balance.database import Database
from mpesa_balance.errors import Unavailable
from mpesa_balance.line import SPACING
from worker import metrics

#: So late is on time for any app, in seconds: at a high rate the next slots are nearer than the network is
#: exact.
_LEAST_MARGIN: Final = 0.02

#: So late is too late whatever the rate, in seconds: Daraja counts by the second, and so much longer are
#: the slots of a second.
_STALLED: Final = SPACING - 1


class Turn:
    """The slots of one attempt. No transaction is open while it waits."""

    def __init__(self, database: Database, attempt: Attempt) -> None:
        self._database = database
        self._app = attempt.app
        self._slot = time.monotonic() + attempt.wait

    def come(self) -> None:
        """Wait for the slot. One that has passed, or was used before, is replaced by the next one.

        Raises Unavailable where that is too far off: then the query goes back into the line.

        What comes late would be sent together with what has the slots after it: a token that was
        minted first makes all that waited for it ready at the same moment.
        """
        begun = time.monotonic()
        if begun > self._slot + max((SPACING - 1) / float(self._app.requests_per_second), _LEAST_MARGIN):
            self._take_next()
        self._sleep()
        # A machine that stalls wakes all that sleep at one moment, as if they had no slots.
        while time.monotonic() > self._slot + _STALLED:
            self._take_next()
            self._sleep()
        metrics.waited(time.monotonic() - begun)
        self._slot = float("-inf")

    def _sleep(self) -> None:
        time.sleep(max(self._slot - time.monotonic(), 0))

    def _take_next(self) -> None:
        with self._database.transaction() as connection:
            slots = line.take_slots(connection, self._app.name)
        if slots is None:
            raise Unavailable(f"the next slot of app {self._app.name} is too far off")
        # From now: a Postgres that takes its time must not make this one late at once.
        self._slot = time.monotonic() + slots.wait
