"""An attempt's turn: it is sent in its slot, or in a later one where it was not ready in time."""

import time

from mpesa_balance import line
from mpesa_balance.attempts import Attempt
from mpesa_balance.database import Database
from mpesa_balance.line import SPACING


class Turn:
    """The slots of one attempt. No transaction is open while it waits."""

    def __init__(self, database: Database, attempt: Attempt) -> None:
        self._database = database
        self._app = attempt.app
        self._slot = time.monotonic() + attempt.wait

    def come(self) -> None:
        """Wait for the slot. One that has passed, or was used before, is replaced by the next one.

        What comes late would be sent together with what has the slots after it: a token that was
        minted first makes all that waited for it ready at the same moment.
        """
        margin = (SPACING - 1) / float(self._app.requests_per_second)
        if time.monotonic() > self._slot + margin:
            with self._database.transaction() as connection:
                self._slot = time.monotonic() + line.take_slot(connection, self._app.name)
        time.sleep(max(self._slot - time.monotonic(), 0))
        self._slot = float("-inf")
