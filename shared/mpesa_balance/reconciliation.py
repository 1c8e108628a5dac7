"""Setting balances against the book: what should be there, what is there, and the difference. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from mpesa_balance.balances import Account
from mpesa_balance.errors import RequestRefused
from mpesa_balance.ledgers import Ledger, Movement, account_key

#: No book differs by more, and no currency has smaller parts.
_TOLERANCE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)

_AMOUNTS: Final = ("opening", "moved_in", "moved_out", "expected", "closing", "variance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A balance as M-PESA told it: of which query, when it stood so, and what was odd about it (codes)."""

    query_id: UUID
    as_of: datetime
    accounts: tuple[Account, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """One account. Amounts are in units of `currency`, and left out of the repr.

    opening, closing: None where M-PESA told no such account. expected, variance: None where they cannot
    be told, also because of two currencies. variance: closing less expected.
    is_covered: the ledger is about it. is_off: it is, and the variance is beyond the tolerance or unknown.
    """

    account: str
    currency: str | None
    opening: Decimal | None = field(repr=False)
    movements: int
    moved_in: Decimal = field(repr=False)
    moved_out: Decimal = field(repr=False)
    expected: Decimal | None = field(repr=False)
    closing: Decimal | None = field(repr=False)
    variance: Decimal | None = field(repr=False)
    is_covered: bool
    is_off: bool

    def document(self) -> dict[str, str | int | bool | None]:
        """The line as JSON has it: amounts are decimal strings."""
        told = {name: None if (one := getattr(self, name)) is None else str(one) for name in _AMOUNTS}
        about: dict[str, str | int | bool | None] = {"account": self.account, "currency": self.currency}
        found = {"is_covered": self.is_covered, "is_off": self.is_off}
        return {**about, "movements": self.movements, **told, **found}

    @classmethod
    def from_document(cls, document: Mapping[str, str | int | bool | None]) -> "AccountLine":
        """The line that `document` was made of."""
        read = {name: None if document[name] is None else Decimal(str(document[name])) for name in _AMOUNTS}
        return cls(**{**document, **read})  # type: ignore[arg-type]


def read_tolerance(text: str) -> Decimal:
    """What each account may differ by, as people write it. Raises ValueError."""
    if not _TOLERANCE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no amount from 0: write 0.50")
    return Decimal(text)


def period_problem(begins: datetime | None, ends: datetime | None, now: datetime) -> str | None:
    """What is wrong with a period, if anything; all instants are aware."""
    if begins is None or ends is None or begins >= ends:
        return "a period needs its beginning and, after that, its end"
    if ends > now:
        return "the period is not over: end it now or before"
    return None


def reconcile(
    opening: Figure, closing: Figure, ledger: Ledger, tolerance: Decimal
) -> tuple[AccountLine, ...]:
    """A line for each account that M-PESA told of or that the book has movements of.

    Only what moved after the opening figure and up to the closing one is counted: a balance is seldom
    told at midnight, and then what should be there is known to the second none the less. Raises
    RequestRefused where a figure has an account twice.
    """
    about = None if ledger.about is None else account_key(ledger.about)
    return tuple(
        _line(sides, tolerance, is_covered=about in (None, key))
        for key, sides in _sides(
            _by_account(opening), _by_account(closing), _booked(opening, closing, ledger)
        )
    )


class _Booked(NamedTuple):
    """What the book says of an account: how it calls it, and what moved between the figures."""

    name: str
    moved: list[Movement]


def _booked(opening: Figure, closing: Figure, ledger: Ledger) -> dict[str, _Booked]:
    # A statement is about its account also where nothing moved, and where M-PESA knows no such account.
    about = ledger.about
    found = {} if about is None else {account_key(about): _Booked(about, [])}
    for one in ledger.movements:
        # What moved as the first figure was taken is in that already.
        if opening.as_of < one.at <= closing.as_of:
            found.setdefault(account_key(one.account), _Booked(one.account, [])).moved.append(one)
    return found


@dataclass(frozen=True, slots=True)
class _Sides:
    """What is known of one account."""

    name: str
    opened: Account | None
    closed: Account | None
    moved: Sequence[Movement]

    @property
    def currencies(self) -> list[str]:
        told = [one.currency for one in (self.closed, self.opened, *self.moved) if one and one.currency]
        return list(dict.fromkeys(told))


def _sides(
    opened: Mapping[str, Account], closed: Mapping[str, Account], booked: Mapping[str, _Booked]
) -> Iterator[tuple[str, _Sides]]:
    for key in dict.fromkeys((*opened, *closed, *booked)):
        told = closed.get(key) or opened.get(key)
        name, moved = booked.get(key) or _Booked("", [])
        yield key, _Sides(told.name if told else name, opened.get(key), closed.get(key), moved)


def _line(sides: _Sides, tolerance: Decimal, *, is_covered: bool) -> AccountLine:
    opening, closing, amounts = (
        _held(sides.opened),
        _held(sides.closed),
        [one.amount for one in sides.moved],
    )
    # What is in two currencies cannot be added up.
    is_one = len(sides.currencies) <= 1
    expected = opening + sum(amounts, Decimal(0)) if is_one and opening is not None else None
    variance = closing - expected if closing is not None and expected is not None else None
    return AccountLine(
        account=sides.name,
        currency="/".join(sides.currencies) or None,
        opening=opening,
        movements=len(amounts),
        moved_in=sum((one for one in amounts if one > 0), Decimal(0)),
        moved_out=sum((one for one in amounts if one < 0), Decimal(0)),
        expected=expected,
        closing=closing,
        variance=variance,
        is_covered=is_covered,
        is_off=is_covered and (variance is None or abs(variance) > tolerance),
    )


def _by_account(figure: Figure) -> dict[str, Account]:
    found: dict[str, Account] = {}
    for one in figure.accounts:
        if found.setdefault(account_key(one.name), one) is not one:
            raise RequestRefused(
                [f"query {figure.query_id} told account {one.name!r} twice: nobody can say which counts"]
            )
    return found


def _held(account: Account | None) -> Decimal | None:
    """What the book knows of: money that is reserved is still there. One layout tells the parts of it."""
    if account is None:
        return None
    if account.current is not None:
        return account.current
    if account.available is None or account.reserved is None:
        return None
    return account.available + account.reserved
