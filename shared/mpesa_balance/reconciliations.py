"""Reconciliations in Postgres: made of stored balances and a ledger, and kept with who made them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound
from mpesa_balance.ids import time_ordered_id
from mpesa_balance.ledgers import Ledger
from mpesa_balance.reconciled_periods import Wanted, figures
from mpesa_balance.reconciliation import AccountLine, reconcile
from mpesa_balance.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A ledger and the file that it came in."""

    name: str
    content: bytes = field(repr=False)
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is sealed of a reconciliation.

    ledger_sha256: of the file, in hexadecimal digits; sealed, because it could be searched for.
    """

    tolerance: Decimal
    ledger_sha256: str
    lines: tuple[AccountLine, ...]

    def document(self) -> dict[str, Any]:
        """The findings as JSON has them: amounts are decimal strings."""
        lines = [one.document() for one in self.lines]
        return {"tolerance": str(self.tolerance), "ledger_sha256": self.ledger_sha256, "lines": lines}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Findings":
        """The findings that `document` was made of."""
        lines = tuple(map(AccountLine.from_document, document["lines"]))
        tolerance, digest = Decimal(document["tolerance"]), document["ledger_sha256"]
        return cls(tolerance=tolerance, ledger_sha256=digest, lines=lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What came of setting balances against a ledger.

    movements, left_out: of the ledger, between the two figures and outside. passed_over: its lines of
    payments that did not complete. warnings: what was odd about the figures (codes).
    made_at: None until it is kept. findings: None in a list.
    """

    id: UUID
    shortcode: str
    period_from: datetime
    period_to: datetime
    opening_query: UUID
    opening_as_of: datetime
    closing_query: UUID
    closing_as_of: datetime
    ledger: str
    movements: int
    left_out: int
    passed_over: int
    warnings: tuple[str, ...]
    is_off: bool
    made_by: str
    made_at: datetime | None = None
    findings: Findings | None = field(default=None, repr=False)

    def document(self) -> dict[str, Any]:
        """As JSON has it: instants in ISO 8601 with zone, amounts as decimal strings, if it has any."""
        plain = {name: _plain(getattr(self, name)) for name in _COLUMNS}
        return plain | (self.findings.document() if self.findings else {})


def make(
    connection: Connection, sealer: Sealer, wanted: Wanted, book: Book, made_by: str
) -> Reconciliation:
    """Set the balances at the beginning and at the end of a period against the book.

    Raises RequestRefused where there are no two balances to set against it, and says what to do.
    """
    opening, closing = figures(connection, sealer, wanted)
    lines = reconcile(opening, closing, book.ledger, wanted.tolerance)
    counted = sum(one.movements for one in lines)
    digest = hashlib.sha256(book.content).hexdigest()
    return Reconciliation(
        id=time_ordered_id(),
        shortcode=wanted.shortcode,
        period_from=wanted.begins.astimezone(UTC),
        period_to=wanted.ends.astimezone(UTC),
        opening_query=opening.query_id,
        opening_as_of=opening.as_of,
        closing_query=closing.query_id,
        closing_as_of=closing.as_of,
        ledger=book.name,
        movements=counted,
        left_out=len(book.ledger.movements) - counted,
        passed_over=book.ledger.passed_over,
        warnings=tuple(dict.fromkeys((*opening.warnings, *closing.warnings))),
        is_off=any(one.is_off for one in lines),
        made_by=made_by,
        findings=Findings(tolerance=wanted.tolerance, ledger_sha256=digest, lines=lines),
    )


def keep(connection: Connection, sealer: Sealer, made: Reconciliation) -> Reconciliation:
    """Store it; gives it with the time at which that was done, by the database clock."""
    findings = json.dumps(made.findings.document() if made.findings else {})
    row = {name: getattr(made, name) for name in _COLUMNS} | {
        "warnings": list(made.warnings),
        "document": sealer.seal_text(findings, reconciliation_place(made.id)),
    }
    (kept,) = connection.execute(_KEEP, row).fetchall()
    return replace(made, made_at=kept["made_at"])


def listed(
    connection: Connection, shortcodes: Iterable[str] | None = None, limit: int = 50
) -> list[Reconciliation]:
    """The newest reconciliations, of these shortcodes or of all, without their findings."""
    return [_read(row) for row in connection.execute(_LISTED, _only(shortcodes) | {"limit": limit})]


def shown(
    connection: Connection, sealer: Sealer, wanted: UUID, shortcodes: Iterable[str] | None = None
) -> Reconciliation:
    """One reconciliation with its findings, if it is of these shortcodes. Raises NotFound or SealBroken."""
    found = connection.execute(_SHOWN, _only(shortcodes) | {"id": wanted}).fetchone()
    if found is None:
        raise NotFound(f"no reconciliation has the id {wanted}: see `reconciliations list`")
    findings = sealer.open_text(found.pop("document"), reconciliation_place(wanted))
    return replace(_read(found), findings=Findings.from_document(json.loads(findings)))


def reconciliation_place(reconciliation_id: UUID) -> str:
    """What the document of a reconciliation is sealed for."""
    return f"reconciliations/{reconciliation_id}"


def _only(shortcodes: Iterable[str] | None) -> dict[str, Any]:
    return {"shortcodes": None if shortcodes is None else list(shortcodes)}


def _read(row: dict[str, Any]) -> Reconciliation:
    return Reconciliation(**(row | {"warnings": tuple(row["warnings"])}))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, UUID) else value


_COLUMNS: Final = (
    *("id", "shortcode", "period_from", "period_to", "opening_query", "opening_as_of", "closing_query"),
    *("closing_as_of", "ledger", "movements", "left_out", "passed_over", "warnings", "is_off"),
    *("made_by", "made_at"),
)

_TOLD_COLUMNS: Final = ", ".join(_COLUMNS)

_KEEP: Final = """
    INSERT INTO reconciliations
        (id, shortcode, period_from, period_to, opening_query, opening_as_of, closing_query, closing_as_of,
         ledger, movements, left_out, passed_over, warnings, is_off, document, made_by)
    VALUES (%(id)s, %(shortcode)s, %(period_from)s, %(period_to)s, %(opening_query)s, %(opening_as_of)s,
            %(closing_query)s, %(closing_as_of)s, %(ledger)s, %(movements)s, %(left_out)s,
            %(passed_over)s, %(warnings)s, %(is_off)s, %(document)s, %(made_by)s)
    RETURNING made_at
"""

_OF_THEM: Final = "(%(shortcodes)s::text[] IS NULL OR shortcode = ANY(%(shortcodes)s::text[]))"

_LISTED: Final = f"""
    SELECT {_TOLD_COLUMNS} FROM reconciliations WHERE {_OF_THEM} ORDER BY made_at DESC LIMIT %(limit)s
"""  # noqa: S608 - of our own words

_SHOWN: Final = f"""
    SELECT {_TOLD_COLUMNS}, document FROM reconciliations WHERE id = %(id)s AND {_OF_THEM}
"""  # noqa: S608 - of our own words
