"""The report of the fault suite: one line a fault, as a page of the docs."""

import json
import os
import platform
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tests.faults.ledger import Balance

#: Where the lines are collected; each test process appends its own.
LINES = "FAULTS_LINES"

#: The page around its table.
TEMPLATE = Path(__file__).with_name("page.md")

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


#: The books of a stack in which nothing has happened yet.
NOTHING = Balance(*[0] * len(fields(Balance)))


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


def main() -> None:
    """`python -m tests.faults.report LINES PAGE`: write the page of the docs."""
    lines, page = (Path(argument) for argument in sys.argv[1:3])
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    told.sort(key=lambda line: (int(line["fault"][1:]), line["what"]))
    page.write_text(_page(told))


def _page(told: list[dict[str, Any]]) -> str:
    heads = [column.replace("_", " ") for column in COLUMNS]
    lines = [["fault", "what was done", *heads, "at rest after", "p99, or what else was seen"]]
    lines.append(["---"] * len(lines[0]))
    for line in told:
        books = [str(line[column]) for column in COLUMNS]
        lines.append([line["fault"], line["what"], *books, f"{line['recovered']} s", line["note"]])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    total = {column: sum(line[column] for line in told) for column in COLUMNS}
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    summary = (
        f"In all: {total['asked']} queries asked, {total['accepted']} callbacks accepted, "
        f"{total['recorded']} recorded, {total['lost']} lost. "
        f"Made by the tests of `make faults` on {machine}."
    )
    return TEMPLATE.read_text().replace("<!-- table -->", f"{table}\n\n{summary}")


if __name__ == "__main__":
    main()
