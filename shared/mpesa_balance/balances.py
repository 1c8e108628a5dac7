"""Daraja's balance string: "Working Account|KES|700000.00|..." to accounts. Pure.

Accounts are separated by "&", each is name|currency|current|available|reserved|uncleared
(Daraja 2.0 documentation; a real callback of 2021-04-12 proves available = current - reserved).
A second layout, known from the parameter table of the same page, repeats the currency before
each number and has no "&"; its order is available, uncleared, reserved, and it gives no current.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Final

from mpesa_balance.errors import CallbackUnreadable
from mpesa_balance.texts import printable

MISSING_AMOUNTS: Final = "missing_amounts"
UNREADABLE_AMOUNT: Final = "unreadable_amount"
REPEATED_CURRENCY_LAYOUT: Final = "repeated_currency_layout"
AVAILABLE_MISMATCH: Final = "available_mismatch"
UNEXPECTED_FIELDS: Final = "unexpected_fields"
UNUSUAL_SCALE: Final = "unusual_scale"
MIXED_CURRENCIES: Final = "mixed_currencies"
MISSING_SEPARATOR: Final = "missing_separator"
MISSING_NAME: Final = "missing_name"
MISSING_CURRENCY: Final = "missing_currency"
UNUSUAL_CURRENCY: Final = "unusual_currency"
REPEATED_ACCOUNT: Final = "repeated_account"

_AMOUNTS: Final = ("current", "available", "reserved", "uncleared")
_REPEATED_AMOUNTS: Final = ("available", "uncleared", "reserved")

# Bounded, so that no text can make a number that takes memory or time to handle.
_AMOUNT = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,6})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a shortcode. Amounts are in units of `currency`; None where none was given.

    Amounts are left out of the repr, so that no log and no traceback can show one.
    """

    name: str
    currency: str | None
    current: Decimal | None = field(default=None, repr=False)
    available: Decimal | None = field(default=None, repr=False)
    reserved: Decimal | None = field(default=None, repr=False)
    uncleared: Decimal | None = field(default=None, repr=False)

    def document(self) -> dict[str, str | None]:
        """The account as JSON has it: amounts are decimal strings."""
        amounts = {name: getattr(self, name) for name in _AMOUNTS}
        return {"name": self.name, "currency": self.currency} | {
            name: None if amount is None else str(amount) for name, amount in amounts.items()
        }

    @classmethod
    def from_document(cls, document: dict[str, str | None]) -> "Account":
        """The account that `document` was made of."""
        amounts = {name: None if (text := document[name]) is None else Decimal(text) for name in _AMOUNTS}
        return cls(name=document["name"] or "", currency=document["currency"], **amounts)


@dataclass(frozen=True, slots=True)
class Balance:
    """All accounts of one answer, and what was odd about it (codes, never amounts)."""

    accounts: tuple[Account, ...]
    warnings: tuple[str, ...] = ()


def parse_balance(text: str) -> Balance:
    """Read Daraja's AccountBalance value. Raises CallbackUnreadable where it holds no amount."""
    accounts: list[Account] = []
    warnings: list[str] = []
    # Some senders write the value as HTML would have it.
    for segment in text.replace("&amp;", "&").split("&"):
        parts = [printable(" ".join(part.split())) for part in segment.split("|")]
        if any(parts):
            accounts += _segment(parts, warnings)
    if not any(_amounts(account) for account in accounts):
        raise CallbackUnreadable("the AccountBalance value holds no account with an amount")
    for account in accounts:
        warnings += _oddities(account)
    if len({account.currency for account in accounts if account.currency}) > 1:
        warnings.append(MIXED_CURRENCIES)
    if len({account.name for account in accounts}) < len(accounts):
        warnings.append(REPEATED_ACCOUNT)
    return Balance(tuple(accounts), tuple(dict.fromkeys(warnings)))


def _segment(parts: Sequence[str], warnings: list[str]) -> list[Account]:
    """The accounts between two "&": one, or all of them where the "&" is left out."""
    starts = [0, *(at for at in range(2, len(parts) - 1) if _starts_account(parts, at)), len(parts)]
    chunks = [parts[start:end] for start, end in pairwise(starts)]
    repeats = [_repeats_currency(chunk) for chunk in chunks]
    if any(repeats):
        warnings.append(REPEATED_CURRENCY_LAYOUT)
    elif len(chunks) > 1:
        warnings.append(MISSING_SEPARATOR)
    # One number alone shows no layout: it is read as those beside it are.
    return [
        _repeated(chunk, warnings)
        if is_so or (any(repeats) and _has_one(chunk))
        else _plain(chunk, warnings)
        for chunk, is_so in zip(chunks, repeats, strict=True)
    ]


def _plain(chunk: Sequence[str], warnings: list[str]) -> Account:
    account = _account(chunk, _AMOUNTS, warnings)
    if account.uncleared is None:
        warnings.append(MISSING_AMOUNTS)
    return account


def _repeated(chunk: Sequence[str], warnings: list[str]) -> Account:
    """name|KES|n|KES|n|KES|n with its currency once: name|KES|n|n|n."""
    account = _account([*chunk[:2], *chunk[2::2]], _REPEATED_AMOUNTS, warnings)
    if account.available is None:
        warnings.append(MISSING_AMOUNTS)
    if any(part != chunk[1] for part in chunk[3::2] if part):
        warnings.append(MIXED_CURRENCIES)
    return account


def _starts_account(parts: Sequence[str], at: int) -> bool:
    """Whether a name stands at `at`: words before a currency, where a number was due."""
    is_words = any(sign.isalpha() for sign in parts[at]) and not _CURRENCY.fullmatch(parts[at])
    return is_words and bool(_CURRENCY.fullmatch(parts[at + 1]))


def _repeats_currency(chunk: Sequence[str]) -> bool:
    """Whether every second part after the first number is a currency: name|KES|n|KES|n|..."""
    between = [part for part in chunk[3::2] if part]
    return bool(between) and all(_CURRENCY.fullmatch(part) for part in between)


def _has_one(chunk: Sequence[str]) -> bool:
    return sum(bool(part) for part in chunk[2:]) <= 1


def _account(chunk: Sequence[str], names: Sequence[str], warnings: list[str]) -> Account:
    name, currency, *numbers = [*chunk, ""] if len(chunk) == 1 else chunk
    if _AMOUNT.fullmatch(currency):
        # The currency is left out: what stands in its place is the first number, and stays one.
        currency, numbers = "", [currency, *numbers]
    while numbers and not numbers[-1]:
        numbers.pop()
    if len(numbers) > len(names):
        warnings.append(UNEXPECTED_FIELDS)
    pairs = zip(names, numbers, strict=False)
    return Account(name, currency or None, **{key: _amount(text, warnings) for key, text in pairs})


def _amount(text: str, warnings: list[str]) -> Decimal | None:
    """The amount, or None: what cannot be read is reported and never guessed."""
    if _AMOUNT.fullmatch(text):
        return Decimal(text)
    warnings.append(UNREADABLE_AMOUNT if text else MISSING_AMOUNTS)
    return None


def _amounts(account: Account) -> list[Decimal]:
    amounts = (account.current, account.available, account.reserved, account.uncleared)
    return [amount for amount in amounts if amount is not None]


def _oddities(account: Account) -> Iterator[str]:
    if not account.name:
        yield MISSING_NAME
    if account.currency is None:
        yield MISSING_CURRENCY
    elif not _CURRENCY.fullmatch(account.currency):
        yield UNUSUAL_CURRENCY
    if any(-int(amount.as_tuple().exponent) > 2 for amount in _amounts(account)):
        yield UNUSUAL_SCALE
    if account.current is None or account.available is None or account.reserved is None:
        return
    if account.available != account.current - account.reserved:
        yield AVAILABLE_MISMATCH
