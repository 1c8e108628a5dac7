"""The report of the fault suite: one line a fault, as a page of the docs."""

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tests.faults.ledger import Balance

#: Where the lines are collected; each test process appends its own.
LINES = "FAULTS_LINES"

#: What the page shows of the books.
COLUMNS = (
    "asked",
    "accepted",
    "recorded",
    "completed",
    "failed",
    "timed_out",
    "repeated",
    "asked_again",
    "lost",
)


class Teller:
    """Takes down what one fault did to the books."""

    def __init__(self, before: Balance) -> None:
        self._before = before
        self.line: dict[str, Any] | None = None

    def tell(self, fault: str, what: str, after: Balance, recovered: float, note: str = "") -> None:
        """The difference that fault `fault` made, and how long it took until everything was at rest."""
        then, now = asdict(self._before), asdict(after)
        made = {field.name: now[field.name] - then[field.name] for field in fields(Balance)}
        self.line = {"fault": fault, "what": what, **made, "recovered": round(recovered, 1), "note": note}


def add(line: dict[str, Any]) -> None:
    """Keep a line for the page, where one is wanted."""
    if path := os.environ.get(LINES):
        with Path(path).open("a") as lines:
            lines.write(json.dumps(line) + "\n")
