"""How a request stands, as whoever asked sees it: in this program, as JSON, and over the wire. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from mpesa_balance.balances import Account
from mpesa_balance.errors import AccountMissing, NoBalance
from mpesa_balance.states import OPEN, QueryState


class AnsweredBy(StrEnum):
    """What answers a request."""

    OPENED = "opened"  #: a query of its own
    JOINED = "joined"  #: the query of its shortcode that is in flight
    REUSED = "reused"  #: a balance that is as young as the caller wants it
    TOO_SOON = "too_soon"  #: the balance at hand: the minimum interval is not over


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceAnswer:
    """How a request stands. Amounts are Decimal in units of their currency; instants are aware UTC.

    state: None while no worker has taken the request up, and of one that was refused.
    refusal: why nothing was asked of M-PESA; None where something was.
    meaning, advice: what is known of the code with which a query failed, and what to do about it.
    completed_at: when M-PESA says that the balances stood so; None where it did not say.
    """

    request_id: UUID | None
    query_id: UUID | None = None
    shortcode: str | None = None
    state: QueryState | None = None
    accounts: tuple[Account, ...] = field(default=(), repr=False)
    completed_at: datetime | None = None
    ended_at: datetime | None = None
    late: bool = False
    result_code: str | None = None
    result_description: str | None = None
    meaning: str | None = None
    advice: str | None = None
    retryable: bool = False
    answered_by: AnsweredBy | None = None
    next_possible_at: datetime | None = None
    warnings: tuple[str, ...] = ()
    refusal: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether M-PESA's answer is still to come."""
        return self.state in OPEN

    @property
    def is_ended(self) -> bool:
        """Whether there is an answer, or a refusal. A query that timed out may be answered after all."""
        return self.refusal is not None or (self.state is not None and not self.is_open)

    def account(self, name: str) -> Account:
        """The account of this name.

        Raises NoBalance, also where it was told twice, or AccountMissing with the names that there are.
        """
        if self.state is not QueryState.COMPLETED:
            raise NoBalance(self.sentence)
        found = [account for account in self.accounts if account.name == name]
        if len(found) > 1:
            raise NoBalance(f"M-PESA told {len(found)} accounts {name!r} of shortcode {self.shortcode}")
        if found:
            return found[0]
        names = ", ".join(repr(account.name) for account in self.accounts)
        raise AccountMissing(f"shortcode {self.shortcode} has no account {name!r}: it has {names}")

    @property
    def sentence(self) -> str:
        """How it stands, in a sentence without amounts."""
        if self.refusal is not None:
            return f"request {self.request_id} was refused: {self.refusal}"
        if self.state is None:
            return f"no worker has taken up request {self.request_id} yet"
        said = ", ".join(text for text in (self.result_code, self.result_description) if text)
        parts = [f"the balance query for shortcode {self.shortcode} is {self.state}", said, self.advice]
        return ": ".join(part for part in parts if part)

    def document(self) -> dict[str, Any]:
        """The answer as JSON has it: instants in ISO 8601 with zone, amounts as decimal strings."""
        return {
            "request_id": _text(self.request_id),
            "query_id": _text(self.query_id),
            "shortcode": self.shortcode,
            "state": self.state,
            "accounts": [account.document() for account in self.accounts],
            "completed_at": _iso(self.completed_at),
            "ended_at": _iso(self.ended_at),
            "late": self.late,
            "result_code": self.result_code,
            "result_description": self.result_description,
            "meaning": self.meaning,
            "advice": self.advice,
            "retryable": self.retryable,
            "answered_by": self.answered_by,
            "next_possible_at": _iso(self.next_possible_at),
            "warnings": list(self.warnings),
            "refusal": self.refusal,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The answer that `document` was made of, also by a later version that says more."""
        given: dict[str, Any] = {
            name: document[name] for name in cls.__slots__ if document.get(name) is not None
        }
        given |= {name: read(given[name]) for name, read in _READ.items() if name in given}
        return cls(**{"request_id": None} | given)


def _text(value: UUID | None) -> str | None:
    return str(value) if value else None


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


#: What JSON has no type for.
_READ: Final[Mapping[str, Any]] = {
    "request_id": UUID,
    "query_id": UUID,
    "state": QueryState,
    "answered_by": AnsweredBy,
    "accounts": lambda found: tuple(map(Account.from_document, found)),
    "warnings": tuple,
    "completed_at": datetime.fromisoformat,
    "ended_at": datetime.fromisoformat,
    "next_possible_at": datetime.fromisoformat,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """Whether an account held an amount. Amounts are in units of `currency`, and left out of the repr.

    as_of: when M-PESA says that it stood so, or where it did not say, when its answer came.
    """

    shortcode: str
    account: str
    currency: str | None
    needed: Decimal = field(repr=False)
    available: Decimal = field(repr=False)
    as_of: datetime | None
    request_id: UUID

    @property
    def is_enough(self) -> bool:
        """Whether the money is there."""
        return self.available >= self.needed

    @property
    def shortfall(self) -> Decimal:
        """How much is missing; 0 where it is enough."""
        return max(self.needed - self.available, Decimal(0))
