"""What is wrong with a rule or a channel as a person describes it: everything at once. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import Any, Final

from mpesa_balance.alert_rules import ALLOWED, NEEDED, OF_ACCOUNTS, Kind, Limits
from mpesa_balance.contract import check_shortcode
from mpesa_balance.errors import RequestRefused

#: The longest window, a week: so many balances are opened for each new one.
MOST_MINUTES: Final = 7 * 24 * 60

_AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,6})?", re.ASCII)
_MINUTES = re.compile(r"[0-9]{1,6}", re.ASCII)
_HOUR: Final = r"((?:[01][0-9]|2[0-3]):[0-5][0-9])"
_QUIET = re.compile(f"{_HOUR}-{_HOUR}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From when until when only urgent alerts are told; they may go past midnight."""

    begins: time
    ends: time


def read_rule(
    kind: str, shortcode: str | None, account: str | None, given: Mapping[str, str | None]
) -> tuple[Kind, Limits, list[str]]:
    """The kind and the limits of a rule, and everything that is wrong with it, a sentence each.

    given: the limits as they were typed, by the names of `Limits`; None for those that were not. The
    kind and the limits mean something only where nothing is wrong.
    """
    wrong = [problem for problem in (shortcode and check_shortcode(shortcode),) if problem]
    typed = {name: text for name, text in given.items() if text is not None}
    values: dict[str, Any] = {name: _read(name, text, wrong) for name, text in typed.items()}
    limits = Limits(**values)
    if kind not in list(Kind):
        return Kind.BELOW, limits, [f"{kind!r} is no kind of rule: use {', '.join(Kind)}", *wrong]
    known = Kind(kind)
    wrong += [
        *_misplaced(known, typed),
        *_contradictions(known, limits),
        *_outside(known, shortcode, account),
    ]
    return known, limits, wrong


def read_quiet_hours(text: str | None) -> QuietHours | None:
    """Quiet hours such as "22:00-06:00". Raises RequestRefused."""
    if text is None:
        return None
    found = _QUIET.fullmatch(text)
    if found is None or found[1] == found[2]:
        raise RequestRefused(["quiet hours are written as 22:00-06:00, and end when they do not begin"])
    return QuietHours(time.fromisoformat(found[1]), time.fromisoformat(found[2]))


def check_name(name: str) -> str | None:
    """What is wrong with a channel's name, or None."""
    if _NAME.fullmatch(name):
        return None
    return "a channel's name must be 1 to 63 lowercase letters, digits and hyphens, such as finance-mail"


def option(name: str) -> str:
    """How a limit is written at the command line."""
    return "--" + name.replace("_", "-")


def _read(name: str, text: str, wrong: list[str]) -> Decimal | int | None:
    if name == "minutes":
        if _MINUTES.fullmatch(text) and 1 <= int(text) <= MOST_MINUTES:
            return int(text)
        wrong.append(f"{option(name)} must be whole minutes from 1 to {MOST_MINUTES}")
        return None
    if _AMOUNT.fullmatch(text) and (Decimal(text) > 0 or name in ("threshold", "clear_at")):
        return Decimal(text)
    example = "20" if name == "percent" else "5000.00"
    wrong.append(f"{option(name)} must be a number such as {example}, without a sign, commas or a currency")
    return None


def _misplaced(kind: Kind, typed: Mapping[str, str]) -> Iterator[str]:
    needed, allowed = NEEDED.get(kind, ()), ALLOWED.get(kind, ())
    for name in needed:
        if name not in typed:
            yield f"a rule of kind {kind} needs {option(name)}"
    for name in typed:
        if name not in needed + allowed:
            yield f"{option(name)} means nothing to a rule of kind {kind}"
    if "amount" in allowed and not {"amount", "percent"} & typed.keys():
        yield f"a rule of kind {kind} needs --amount or --percent, or both"


def _outside(kind: Kind, shortcode: str | None, account: str | None) -> Iterator[str]:
    if shortcode is not None and kind is Kind.TASK_QUARANTINED:
        yield f"--shortcode means nothing to a rule of kind {kind}: a task may be of any"
    if account is None:
        return
    if kind not in OF_ACCOUNTS:
        yield f"--account means nothing to a rule of kind {kind}: it looks at whole shortcodes"
    if not (account.isprintable() and 0 < len(account) <= 200):
        yield "--account must be the account's name as M-PESA gives it, such as 'Utility Account'"


def _contradictions(kind: Kind, limits: Limits) -> Iterator[str]:
    if limits.threshold is None or limits.clear_at is None:
        return
    if kind is Kind.BELOW and limits.clear_at < limits.threshold:
        yield "--clear-at must not be below --threshold: the alert would be raised and cleared at once"
    if kind is Kind.ABOVE and limits.clear_at > limits.threshold:
        yield "--clear-at must not be above --threshold: the alert would be raised and cleared at once"
