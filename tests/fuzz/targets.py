"""What must hold for any bytes at all: each target takes some, and fails where a promise is broken.

The same targets are run by atheris over bytes that it mutates (`make fuzz`), by Hypothesis over
envelopes and balance strings, and by the core suite over the corpora that were kept.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any, Final

from mpesa_balance.balances import Account, Balance, parse_balance
from mpesa_balance.callback_urls import CallbackSigner
from mpesa_balance.contract import BalanceAsk
from mpesa_balance.errors import CallbackRejected, CallbackUnreadable, DarajaError, RequestRefused
from mpesa_balance.redaction import REMOVED, without_credentials
from mpesa_balance.results import read_result
from mpesa_balance.texts import printable
from webhooks import envelope
from worker.answers import Reply, read_acknowledgement, read_token

#: What is an amount, said here once more: the parser must not be its own judge.
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,6})?", re.ASCII)

#: How many accounts of a string are placed; a real till has ten.
_MOST_PLACED: Final = 8

_SIGNER: Final = CallbackSigner((b"k" * 32,))


def result(data: bytes) -> None:
    """A callback is read, or is unreadable; what is read can be stored, shown and read again."""
    try:
        read = read_result(data)
        again = read_result(data)
        assert read == again
        assert read.code.isprintable()
        assert read.description.isprintable()
        assert read.completed_at is None or read.completed_at.tzinfo is not None
        balance_holds(read.raw_balance or "", read.balance())
    except CallbackUnreadable as error:
        said = str(error)
        is_short_line = said.isprintable() and len(said) < 200
        assert is_short_line


def balance(data: bytes) -> None:
    """No amount of a balance string is invented, dropped in silence, or moved to another account."""
    text = data.decode("utf-8", "replace")
    try:
        parsed = parse_balance(text)
    except CallbackUnreadable:
        return
    balance_holds(text, parsed)


def balance_holds(text: str, parsed: Balance) -> None:
    """What a balance string says is what was read, account by account."""
    tokens = list(_tokens(text))
    given = Counter(Decimal(token) for _, token in tokens if _NUMBER.fullmatch(token))
    found = Counter(amount for account in parsed.accounts for amount in _amounts(account))
    assert found <= given, "an amount was invented"
    names = {account.name for account in parsed.accounts}
    left = Counter(Decimal(token) for _, token in tokens if _NUMBER.fullmatch(token) and token not in names)
    assert not left - found or parsed.warnings, "an amount was dropped in silence"
    _assert_in_place(tokens, parsed)
    for account in parsed.accounts:
        assert Account.from_document(json.loads(json.dumps(account.document()))) == account


def _assert_in_place(tokens: list[tuple[int, str]], parsed: Balance) -> None:
    """The amounts of each account stand after its name and before the next one's, in its segment.

    A name may stand in several places, as an amount or as nothing: some way to place them must fit.
    """
    # Each account is tried from every place: enough of them show whether the parser moves amounts.
    accounts = parsed.accounts[:_MOST_PLACED]

    @cache
    def fits(number: int, start: int) -> bool:
        if tokens[start][1] != accounts[number].name:
            return False
        if number == len(accounts) - 1:
            return holds(number, start, len(tokens))
        return any(
            holds(number, start, end) and fits(number + 1, end) for end in range(start + 1, len(tokens))
        )

    def holds(number: int, start: int, end: int) -> bool:
        segment = tokens[start][0]
        near = [token for place, token in tokens[start:end] if place == segment]
        numbers = Counter(Decimal(token) for token in near if _NUMBER.fullmatch(token))
        return Counter(_amounts(accounts[number])) <= numbers

    assert any(fits(0, start) for start in range(len(tokens))), "an amount was moved to another account"


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    for number, segment in enumerate(text.replace("&amp;", "&").split("&")):
        for part in segment.split("|"):
            yield number, printable(" ".join(part.split()))


def _amounts(account: Account) -> list[Decimal]:
    amounts = (account.current, account.available, account.reserved, account.uncleared)
    return [amount for amount in amounts if amount is not None]


def door(data: bytes) -> None:
    """What the webhook tier makes of a body: kept without a credential, and an answer that is JSON."""
    kept = without_credentials(data)
    assert without_credentials(kept) == kept, "a second look must find nothing more"
    assert REMOVED in kept or kept == data
    for kind in ("result", "timeout"):
        problem = envelope.problem(kind, kept)
        assert problem is None or json.loads(json.dumps({"ResultDesc": problem}))


def daraja(data: bytes) -> None:
    """Whatever Daraja answers is a token, an acknowledgement or one of our own errors."""
    for status in (200, 400, 401, 404, 429, 500):
        for read in (read_acknowledgement, read_token):
            try:
                read(Reply(status, data))
            except DarajaError as error:
                # What is said ends up in logs, tables and terminals.
                printable = str(error).isprintable()
                assert printable


def token(data: bytes) -> None:
    """No text is taken for a signed token that was not signed."""
    text = data.decode("utf-8", "replace")
    try:
        attempt_id = _SIGNER.attempt_id(text)
    except CallbackRejected:
        return
    assert _SIGNER.token(attempt_id) == text


def ask(data: bytes) -> None:
    """What other services put into a request is an ask, or refused with everything that is wrong."""
    try:
        message: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(message, dict):
        return
    try:
        read = BalanceAsk.read(message)
    except RequestRefused:
        return
    assert BalanceAsk.read(read.message()) == read


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target for target in (result, balance, door, daraja, token, ask)
}
