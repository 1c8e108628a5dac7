"""The book's movements, read from CSV: our own form, or M-PESA's statement of an organisation. Pure."""

import hashlib
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from mpesa_balance.csv_files import CsvFile, Row, read_csv
from mpesa_balance.errors import RequestRefused
from mpesa_balance.results import EAST_AFRICA
from mpesa_balance.texts import printable

#: What our own form needs; `currency` and `reference` may be there, everything else is passed over.
OURS: Final = ("at", "account", "amount")

#: What M-PESA's organisation portal exports, below some lines about the organisation.
STATEMENT: Final = ("receipt no.", "completion time", "transaction status", "paid in", "withdrawn")

#: As the portal writes instants, in East Africa Time; ISO 8601 is read as well.
_TIMES: Final = ("%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M")

_COMPLETED: Final = "completed"

#: Thousands may be set apart. Bounded, so that no text makes a number that takes memory to handle.
_AMOUNT: Final = re.compile(r"[+-]?(?:[0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4})(?:\.[0-9]{1,6})?", re.ASCII)

#: The two halves of an amount whose comma separated cells.
_THOUSANDS: Final = re.compile(r"[+-]?[0-9]{1,3}", re.ASCII)
_REST: Final = re.compile(r"[0-9]{3}(\.[0-9]+)?", re.ASCII)

_LONGEST_NAME: Final = 200

#: So many problems are told at once.
_MOST_ACCOUNTS: Final = 200
_LONGEST_CURRENCY: Final = 8
_MOST_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that came (above 0) or went, in units of the account's currency, at an aware instant."""

    at: datetime
    account: str
    amount: Decimal = field(repr=False)
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Movements in the order of their instants.

    passed_over: lines of payments that did not complete. about: the account that all of it is about;
    None for a book of all accounts.
    """

    movements: tuple[Movement, ...]
    passed_over: int = 0
    about: str | None = None


def account_key(name: str) -> str:
    """What makes two names one account: neither case nor white space tells them apart."""
    return " ".join(name.split()).casefold()


def read_ledger(content: bytes, account: str | None = None) -> Ledger:
    """The movements in a CSV file. Raises RequestRefused with every line that cannot be read.

    account: whose movements these are, where the lines do not say, as in M-PESA's statements.
    """
    file = read_csv(content, (OURS, STATEMENT))
    if file.wanted == STATEMENT and not account:
        raise RequestRefused(["an organisation's statement does not say whose it is: name the account"])
    form = _FORMS[file.wanted]
    return _read(file, form, _name(account) if account else None)


class _Form(NamedTuple):
    """How a line is read, and what makes two of them one."""

    read: Callable[[Row, str | None], Movement | None]
    identity: Callable[[Row, Movement], Hashable]
    #: The columns whose amounts a comma may have cut in two.
    amounts: tuple[str, ...]


def _read(file: CsvFile, form: _Form, account: str | None) -> Ledger:
    reading = _Reading(form, account, commas_separate=file.separator == ",")
    for row in file.rows:
        reading.take(row)
    problems = list(_told(reading.problems))
    if len({account_key(one.account) for one in reading.movements}) > _MOST_ACCOUNTS:
        problems = [f"it names more than {_MOST_ACCOUNTS} accounts, as nobody has: check its columns"]
    if problems:
        raise RequestRefused(problems)
    movements = tuple(sorted(reading.movements, key=lambda one: one.at))
    about = account if file.wanted == STATEMENT else None
    return Ledger(movements, reading.passed_over, about)


class _Reading:
    """What was read so far, and what was wrong with it."""

    def __init__(self, form: _Form, account: str | None, *, commas_separate: bool) -> None:
        self._form = form
        self._account = account
        self._commas_separate = commas_separate
        self._found: dict[Hashable, int] = {}
        self.movements: list[Movement] = []
        self.problems: list[str] = []
        self.passed_over = 0

    def take(self, row: Row) -> None:
        """Read one line."""
        try:
            movement = self._read(row)
        except ValueError as problem:
            self.problems.append(f"line {row.number}: {problem}")
            return
        if movement is None:
            self.passed_over += 1
        else:
            self.movements.append(movement)

    def _read(self, row: Row) -> Movement | None:
        if row.problem is not None:
            raise ValueError(row.problem)
        if self._commas_separate:
            _refuse_split_amounts(row, self._form.amounts)
        movement = self._form.read(row, self._account)
        if movement is not None:
            self._refuse_repetition(row.number, self._form.identity(row, movement))
        return movement

    def _refuse_repetition(self, number: int, identity: Hashable) -> None:
        # A file that was pasted together twice would be counted twice.
        if identity and (before := self._found.setdefault(identity, number)) != number:
            raise ValueError(f"it repeats line {before}, and would count twice: remove one of them")


def _told(problems: Sequence[str]) -> Iterator[str]:
    yield from problems[:_MOST_PROBLEMS]
    if len(problems) > _MOST_PROBLEMS:
        yield f"and {len(problems) - _MOST_PROBLEMS} more"


def _of_ours(row: Row, account: str | None) -> Movement:
    name = _name(row["account"]) or account
    if not name:
        raise ValueError("its account is missing")
    return Movement(
        at=_instant(row, "at"),
        account=name,
        amount=_amount(row, "amount"),
        currency=printable(row.get("currency"))[:_LONGEST_CURRENCY].upper() or None,
    )


def _refuse_split_amounts(row: Row, columns: Sequence[str]) -> None:
    for column in columns:
        if _THOUSANDS.fullmatch(row[column]) and _REST.fullmatch(row.after(column)):
            raise ValueError(
                f'its {column} may be cut in two: write 1500.00, or "1,500.00" in quotation marks'
            )


def _of_statement(row: Row, account: str | None) -> Movement | None:
    status = row["transaction status"].casefold()
    if not status:
        raise ValueError("its transaction status is missing")
    if status != _COMPLETED:
        return None
    paid_in = _amount(row, "paid in", missing=Decimal(0))
    # The portal writes what was withdrawn with a minus sign or without.
    withdrawn = abs(_amount(row, "withdrawn", missing=Decimal(0)))
    if paid_in < 0 or bool(paid_in) == bool(withdrawn):
        raise ValueError("it must have either an amount paid in, above 0, or one withdrawn")
    return Movement(at=_instant(row, "completion time"), account=account or "", amount=paid_in - withdrawn)


def _amount(row: Row, column: str, missing: Decimal | None = None) -> Decimal:
    text = row[column]
    if not text and missing is not None:
        return missing
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"its {column} is no amount such as 1500.00 or -1,500.00")
    return Decimal(text.replace(",", ""))


def _instant(row: Row, column: str) -> datetime:
    instant = _parsed(row[column])
    if instant is None:
        raise ValueError(
            f"its {column} is no time such as 2026-11-21T14:30:00+03:00 or 21-11-2026 14:30:00"
        )
    return instant if instant.tzinfo else instant.replace(tzinfo=EAST_AFRICA)


def _parsed(text: str) -> datetime | None:
    for layout in _TIMES:
        try:
            return datetime.strptime(text, layout)  # noqa: DTZ007 - its zone is given to it afterwards
        except ValueError:
            continue
    try:
        # A day alone would say nothing of the order within it.
        return datetime.fromisoformat(text) if len(text) > len("2026-11-21") else None
    except ValueError:
        return None


def _name(text: str) -> str:
    return printable(" ".join(text.split()))[:_LONGEST_NAME]


def _reference(row: Row, movement: Movement) -> Hashable:
    # Without a reference two equal movements at one moment may well be two.
    return (account_key(movement.account), row["reference"]) if row.get("reference") else None


def _whole(row: Row, _: Movement) -> Hashable:
    # A digest, because a file may have a million lines.
    return hashlib.blake2b("\0".join(row.cells).encode(), digest_size=16).digest()


#: A payment and its charge have one receipt; the balance after each tells them apart.
_FORMS: Final = {
    OURS: _Form(_of_ours, _reference, ("amount",)),
    STATEMENT: _Form(_of_statement, _whole, ("paid in", "withdrawn")),
}
