"""Queries that nobody will answer any more: which they are, and that their deadline has come."""

from collections.abc import Mapping
from pathlib import Path

import requests

from mpesa_balance.database import Database
from tests.waiting import eventually
from webhooks.spool_directory import deliveries_in, spools_in


class Unanswered:
    """Tells what still has a callback on its way from what met a dead process."""

    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self._database = database
        self._summary = f"{environment['DARAJA_URL']}/simulator/ledger/summary"
        self._spools = Path(environment["SPOOL_DIR"])

    def end(self, seconds: float = 90) -> None:
        """Their deadline is now. What is acknowledged while this waits for others keeps its own."""
        try:
            eventually(self._ended, seconds, every=0.25)
        except AssertionError as error:
            raise AssertionError(f"callbacks are still {self._unsettled()} after {seconds} s") from error

    def _ended(self) -> bool:
        """Whether every callback was seen to be settled, and what has none by now was ended."""
        # Their callbacks were promised before they were acknowledged, so this comes first.
        with self._database.transaction() as connection:
            acknowledged = [row["id"] for row in connection.execute(_ACKNOWLEDGED)]
        if self._unsettled():
            return False
        with self._database.transaction() as connection:
            connection.execute(_END, {"ids": acknowledged})
        return True

    def _unsettled(self) -> str | None:
        """Where a callback is that is not settled yet; None where there is none."""
        # In the order of its way, so that none slips from one place to the next unseen.
        if self._is_any_promised():
            return "on their way from Daraja"
        if self._is_any_spooled():
            return "in a spool"
        return "unfinished in Postgres" if self._is_any_unfinished() else None

    def _is_any_promised(self) -> bool:
        pending: int = requests.get(self._summary, timeout=10).json()["callbacks"]["pending"]
        return pending > 0

    def _is_any_spooled(self) -> bool:
        """Of ended processes too, which the health of those that live does not tell of."""
        # Twice, for what is taken over meanwhile from one that was not read yet into one that was.
        return any(True for spool in 2 * spools_in(self._spools) for _ in deliveries_in(spool))

    def _is_any_unfinished(self) -> bool:
        with self._database.transaction() as connection:
            return connection.execute(_UNFINISHED).fetchone() is not None


_ACKNOWLEDGED = "SELECT id FROM balance_queries WHERE state = 'acknowledged'"

_UNFINISHED = "SELECT id FROM callbacks WHERE disposition IS NULL LIMIT 1"

_END = """
    UPDATE balance_queries SET deadline_at = now()
    WHERE state = 'acknowledged' AND id = ANY(%(ids)s) OR state = 'pending' AND remarks = 'storm'
"""
