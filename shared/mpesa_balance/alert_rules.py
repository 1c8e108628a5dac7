"""Rules for alerts: their kinds, their limits, and what a new balance means to each. Pure.

Amounts are Decimal, in units of the account's currency. A limit is kept out of every repr.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Final, Self

from mpesa_balance.balances import Account


class Kind(StrEnum):
    """What a rule looks at. Those from `query_failed` on are named as the outbox names its notices."""

    BELOW = "below"
    ABOVE = "above"
    CHANGE = "change"
    DROP = "drop"
    STALE = "stale"
    QUERY_FAILED = "query_failed"
    QUERY_TIMED_OUT = "query_timed_out"
    UNEXPECTED_CODE = "unexpected_code"
    APP_REFUSED = "app_refused"
    SHORTCODE_SUSPENDED = "shortcode_suspended"
    PASSWORD_AGEING = "password_ageing"  # noqa: S105 - the name of a kind, not a secret
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105 - the name of a kind, not a secret
    CALLBACK_CONFLICT = "callback_conflict"
    CALLBACK_UNMATCHED = "callback_unmatched"
    CALLBACK_UNREADABLE = "callback_unreadable"
    TASK_QUARANTINED = "task_quarantined"


#: What is held against the accounts of a new balance.
OF_ACCOUNTS: Final = frozenset({Kind.BELOW, Kind.ABOVE, Kind.CHANGE, Kind.DROP})

#: What is over when M-PESA has given the shortcode's balance again.
ANSWERED: Final = frozenset(
    {Kind.QUERY_FAILED, Kind.QUERY_TIMED_OUT, Kind.UNEXPECTED_CODE, Kind.APP_REFUSED}
)

#: What only a person ends.
ACKNOWLEDGED: Final = frozenset(
    {Kind.CALLBACK_CONFLICT, Kind.CALLBACK_UNMATCHED, Kind.CALLBACK_UNREADABLE, Kind.TASK_QUARANTINED}
)

#: What has happened, rather than what is so: it is told although it is over by then.
HAPPENED: Final = frozenset({Kind.CHANGE, Kind.DROP})

#: The limits that each kind must have, and those that it may have besides.
NEEDED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.BELOW: ("threshold",),
    Kind.ABOVE: ("threshold",),
    Kind.DROP: ("minutes",),
    Kind.STALE: ("minutes",),
}
ALLOWED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.BELOW: ("clear_at",),
    Kind.ABOVE: ("clear_at",),
    Kind.CHANGE: ("amount", "percent"),
    Kind.DROP: ("amount", "percent"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a rule's kind is measured by: amounts, a percentage, minutes."""

    threshold: Decimal | None = field(default=None, repr=False)
    clear_at: Decimal | None = field(default=None, repr=False)
    amount: Decimal | None = field(default=None, repr=False)
    percent: Decimal | None = field(default=None, repr=False)
    minutes: int | None = None

    def document(self) -> dict[str, Any]:
        """Those that are given; amounts and the percentage as decimal strings."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in given.items()
            if value is not None
        }

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The limits whose document `text` is."""
        given: dict[str, Any] = json.loads(text)
        given |= {name: Decimal(value) for name, value in given.items() if isinstance(value, str)}
        return cls(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule. `shortcode` None is every one, `account` None each one, `channels` None all of them."""

    id: int
    kind: Kind
    shortcode: str | None = None
    account: str | None = None
    limits: Limits = Limits()
    urgent: bool = False
    channels: tuple[str, ...] | None = None

    def concerns(self, shortcode: str | None) -> bool:
        """Whether it looks at what happens to this shortcode."""
        return self.shortcode is None or self.shortcode == shortcode


class Outcome(Enum):
    """What a balance means to a rule's alert."""

    RAISE = "raise"
    CLEAR = "clear"
    KEEP = "keep"  #: between the two limits: as it was before


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was available in the accounts of a balance, by their names, and when it was so."""

    as_of: datetime
    available: Mapping[str, Decimal] = field(repr=False)
    currencies: Mapping[str, str]

    @classmethod
    def of(cls, as_of: datetime, accounts: Sequence[Account]) -> tuple[Self, list[str]]:
        """What can be compared of these accounts, and why others are passed by, a sentence each."""
        counted = Counter(account.name for account in accounts)
        available, passed_by = {}, dict[str, str]()
        for account in accounts:
            if counted[account.name] > 1:
                passed_by[account.name] = f"account {account.name!r} is given more than once"
            elif account.available is None:
                passed_by[account.name] = f"account {account.name!r} has no available amount"
            else:
                available[account.name] = account.available
        currencies = {account.name: account.currency or "" for account in accounts}
        return cls(as_of=as_of, available=available, currencies=currencies), list(passed_by.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a balance means to a rule for one account; `detail` holds the amounts that show it."""

    account: str
    outcome: Outcome
    detail: Mapping[str, str] = field(repr=False)


def evaluate(rule: Rule, new: Seen, earlier: Sequence[Seen]) -> list[Finding]:
    """What a new balance means to a rule, for each account that it looks at.

    earlier: the balances before it, newest first, back to the beginning of the rule's window.
    """
    wanted = new.available.keys() if rule.account is None else new.available.keys() & {rule.account}
    return [_of_account(rule, new, earlier, name) for name in sorted(wanted)]


def _of_account(rule: Rule, new: Seen, earlier: Sequence[Seen], name: str) -> Finding:
    available, compared = new.available[name], _compared(rule, new, earlier, name)
    detail = {"available": str(available), "currency": new.currencies[name]}
    if compared is not None:
        detail["compared"] = str(compared)
    return Finding(account=name, outcome=outcome_of(rule, available, compared), detail=detail)


def outcome_of(rule: Rule, available: Decimal, compared: Decimal | None = None) -> Outcome:
    """What an available amount means, beside the one that the rule compares it with."""
    limits = rule.limits
    if rule.kind in (Kind.BELOW, Kind.ABOVE):
        threshold = limits.threshold or Decimal(0)
        clear_at = threshold if limits.clear_at is None else limits.clear_at
        # What is true of "below" is true of "above" with all signs turned.
        sign = 1 if rule.kind is Kind.BELOW else -1
        if sign * available < sign * threshold:
            return Outcome.RAISE
        return Outcome.CLEAR if sign * available >= sign * clear_at else Outcome.KEEP
    if compared is None:
        return Outcome.CLEAR
    moved = compared - available if rule.kind is Kind.DROP else abs(available - compared)
    return Outcome.RAISE if _is_beyond(limits, moved, compared) else Outcome.CLEAR


def _is_beyond(limits: Limits, moved: Decimal, compared: Decimal) -> bool:
    if limits.amount is not None and moved > limits.amount:
        return True
    # Without a division: of an account that held nothing, every move is beyond any percentage.
    return limits.percent is not None and moved * 100 > limits.percent * abs(compared)


def _compared(rule: Rule, new: Seen, earlier: Sequence[Seen], name: str) -> Decimal | None:
    """What the available amount is compared with: the last one, or the highest in the window."""
    if rule.kind is Kind.CHANGE:
        looked_at = list(earlier[:1])
    else:
        begins = new.as_of - timedelta(minutes=rule.limits.minutes or 0)
        looked_at = [seen for seen in earlier if seen.as_of >= begins]
    return max((seen.available[name] for seen in looked_at if name in seen.available), default=None)
