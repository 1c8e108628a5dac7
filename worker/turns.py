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
        margin = max((SPACING - 1) / float(self._app.requests_per_second), _LEAST_MARGIN)
        if time.monotonic() > self._slot + margin:
            self._slot = time.monotonic() + self._next()
        wait = max(self._slot - time.monotonic(), 0)
        time.sleep(wait)
        metrics.waited(wait)
        self._slot = float("-inf")

    def _next(self) -> float:
        with self._database.transaction() as connection:
            wait = line.take_slot(connection, self._app.name)
        if wait is None:
            raise Unavailable(f"the next slot of app {self._app.name} is too far off")
        return wait
