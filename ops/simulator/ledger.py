"""The ledger: everything that the simulator received and sent, in order, and without any secret."""

import json
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from ops.simulator.payloads import Document
from ops.simulator.scenarios.scenario import RESULT_URL, TIMEOUT_URL

Kind = Literal["token", "query", "answer", "callback"]

#: In the place of the status of a callback that nobody answered.
LOST: Final = "lost"

#: How many entries one page of the ledger has at most.
LONGEST_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an entry is about: `query` is the number of the entry of the query that it follows from."""

    query: int | None = None
    shortcode: str | None = None
    scenario: str | None = None
    originator_conversation_id: str | None = None
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was said.

    status: the HTTP status that was sent (answers) or came back (callbacks); None for no answer at all.
    taken: of an answer, whether M-PESA took the query; `reason` says why it did not.
    url_kind, url, body: of a callback, "result" or "timeout", where to without its path, what was sent.
    """

    status: int | str | None = None
    taken: bool | None = None
    reason: str | None = None
    url_kind: str | None = None
    url: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger. Numbers begin at 1 and are never used again; `at` is ISO 8601, UTC."""

    number: int
    at: str
    kind: Kind
    subject: Subject
    outcome: Outcome

    def document(self) -> Document:
        """The entry as one flat JSON object."""
        line = {"number": self.number, "at": self.at, "kind": self.kind}
        return line | asdict(self.subject) | asdict(self.outcome)


class Ledger:
    """Keeps the newest `size` entries, and counts all of them."""

    def __init__(self, size: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self._counts: Counter[tuple[Kind, str | None, int | str | None, str | None]] = Counter()
        self._last = 0
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, kind: Kind, subject: Subject, outcome: Outcome | None = None) -> int:
        """Add an entry, and give its number."""
        said = outcome or Outcome()
        with self._lock:
            self._last += 1
            self._dropped += len(self._entries) == self._entries.maxlen
            at = datetime.now(UTC).isoformat()
            entry = Entry(number=self._last, at=at, kind=kind, subject=subject, outcome=said)
            self._entries.append(entry)
            self._counts[kind, subject.scenario, said.status, said.reason] += 1
            return self._last

    def page(self, after: int) -> Document:
        """The entries that follow number `after`, and after which number to go on."""
        with self._lock:
            first = self._last - len(self._entries) + 1
            start = max(after + 1 - first, 0)
            found = list(islice(self._entries, start, start + LONGEST_PAGE))
            dropped = self._dropped
        entries = [entry.document() for entry in found]
        return {
            "entries": entries,
            "next": entries[-1]["number"] if entries else after,
            "dropped": dropped,
        }

    def summary(self) -> Document:
        """Counts since the ledger was last emptied, entries that were dropped included."""
        with self._lock:
            counts = dict(self._counts)
            dropped = self._dropped
        columns = ("kind", "scenario", "status", "reason")
        rows = [dict(zip(columns, key, strict=True)) | {"count": n} for key, n in counts.items()]
        return {
            "counts": rows,
            "dropped": dropped,
            "queries": _queries(rows),
            "callbacks": _callbacks(rows),
        }

    def clear(self) -> None:
        """Empty the ledger. Numbers go on, so that a page which is asked for afterwards is new."""
        with self._lock:
            self._entries.clear()
            self._counts.clear()
            self._dropped = 0


def without_path(url: str) -> str:
    """Scheme and host of a callback address: its path holds a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def without_secrets(document: Document) -> str:
    """A callback's body as it may be kept: an echo of a query holds a credential and two tokens."""
    kept = dict(document)
    if "SecurityCredential" in kept:
        kept["SecurityCredential"] = "[removed]"
    for name in kept.keys() & {RESULT_URL, TIMEOUT_URL}:
        kept[name] = without_path(str(kept[name]))
    return json.dumps(kept)


def _queries(rows: list[Document]) -> Document:
    refused: Counter[str] = Counter()
    for row in rows:
        if row["kind"] == "answer" and row["reason"] is not None:
            refused[row["reason"]] += row["count"]
    received = _count(rows, kind="query")
    return {"received": received, "accepted": _count(rows, kind="answer", reason=None), "refused": refused}


def _callbacks(rows: list[Document]) -> Document:
    sent = [row for row in rows if row["kind"] == "callback"]
    lost = _count(sent, status=LOST)
    delivered = sum(row["count"] for row in sent if row["status"] in range(200, 300))
    return {"delivered": delivered, "refused": _count(sent) - delivered - lost, "lost": lost}


def _count(rows: list[Document], **wanted: Any) -> int:
    return sum(row["count"] for row in rows if _fits(row, wanted))


def _fits(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(row[name] == value for name, value in wanted.items())
