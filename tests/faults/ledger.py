"""The ledger: what was asked for and what was answered with 200, held against what Postgres has."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import requests

from mpesa_balance.database import Database
from mpesa_balance.deliveries import delivery_place
from tests.waiting import eventually


@dataclass
class Books:
    """What the drivers wrote down. A body is unique, so it stands for its callback."""

    asked: dict[UUID, float] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    refused: int = 0
    asked_again: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def answered(self) -> int:
        """How many callbacks of storms had their answer, or will have none."""
        with self.lock:
            return len(self.accepted) + self.refused


@dataclass(frozen=True)
class Balance:
    """How the books stand. Nothing may be lost, and nothing open, when everything has come to rest."""

    asked: int
    accepted: int
    recorded: int
    completed: int
    failed: int
    timed_out: int
    open: int
    repeated: int
    lost: int
    unfinished: int
    asked_again: int
    untold: int

    @property
    def is_at_rest(self) -> bool:
        ended = self.completed + self.failed + self.timed_out
        left = self.open, self.lost, self.unfinished, self.untold
        return left == (0, 0, 0, 0) and ended >= self.asked


class Ledger:
    """Holds the books of one run against Postgres and the simulator."""

    def __init__(self, database: Database, simulator_url: str) -> None:
        self.books = Books()
        self._database = database
        self._simulator = f"{simulator_url}/simulator"

    def missing(self) -> set[UUID]:
        """The requests that are asked for and not in Postgres yet."""
        with self._database.transaction() as connection:
            known = {row["id"] for row in connection.execute("SELECT id FROM balance_requests")}
        with self.books.lock:
            return self.books.asked.keys() - known

    def balance(self) -> Balance:
        """How the books stand now."""
        with self._database.transaction() as connection:
            states = Counter(
                row["state"] for row in connection.execute("SELECT state FROM balance_queries")
            )
            kept = connection.execute(_KEPT).fetchall()
            untold = connection.execute(_UNTOLD).rowcount

        recorded = {self._body(row) for row in kept}
        accepted = self._accepted()
        return Balance(
            asked=sum(states.values()) + len(self.missing()),
            accepted=len(accepted),
            recorded=len(recorded),
            completed=states["completed"],
            failed=states["failed"],
            timed_out=states["timed_out"],
            open=states["pending"] + states["acknowledged"],
            repeated=sum(row["deliveries"] for row in kept) - len(kept),
            lost=len(set(accepted) - recorded),
            unfinished=sum(row["disposition"] is None for row in kept),
            asked_again=self.books.asked_again,
            untold=untold,
        )

    def settle(self, seconds: float) -> tuple[Balance, float]:
        """Wait until everything has come to rest; how the books stand, and how long that took."""
        begun = time.monotonic()
        try:
            found = eventually(self._at_rest, seconds, every=0.25)
        except AssertionError as error:
            raise AssertionError(f"not at rest after {seconds} s: {self.balance()}") from error
        return found, time.monotonic() - begun

    def _at_rest(self) -> Balance | None:
        found = self.balance()
        return found if found.is_at_rest else None

    def _accepted(self) -> list[str]:
        with self.books.lock:
            ours = list(self.books.accepted)
        return [*ours, *(entry["body"] for entry in self._entries() if self._is_accepted(entry))]

    def _entries(self) -> Iterable[dict[str, Any]]:
        after = 0
        while True:
            page = requests.get(f"{self._simulator}/ledger?after={after}", timeout=10).json()
            assert page["dropped"] == 0, "the simulator's ledger has dropped entries"
            if not page["entries"]:
                return
            yield from page["entries"]
            after = page["next"]

    def _is_accepted(self, entry: dict[str, Any]) -> bool:
        return entry["kind"] == "callback" and entry["status"] == 200

    def _body(self, row: dict[str, Any]) -> str:
        place = delivery_place(row["attempt_id"], row["kind"], row["digest"])
        payload = self._database.sealer.open(row["payload"], place)
        return json.dumps(json.loads(payload))


_UNTOLD = "SELECT FROM replies WHERE sent_at IS NULL"

_KEPT = "SELECT attempt_id, kind, digest, payload, deliveries, disposition FROM callbacks"
