"""A result callback of Daraja, read into one typed object. Pure; knows every envelope that was seen."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from mpesa_balance.balances import Balance, parse_balance
from mpesa_balance.errors import CallbackUnreadable
from mpesa_balance.texts import printable, without_amounts

#: The parameters of a balance result (Daraja's Account Balance page, "Result body").
_BALANCE: Final = "AccountBalance"
_COMPLETED: Final = "BOCompletedTime"

#: M-PESA writes its times in East Africa Time and does not say so.
EAST_AFRICA: Final = timezone(timedelta(hours=3), "EAT")

SWAPPED_ENVELOPE: Final = "swapped_envelope"
NO_ACCOUNT_BALANCE: Final = "no_account_balance_parameter"
UNREADABLE_COMPLETED_TIME: Final = "unreadable_completed_time"

_POINT_ZERO = re.compile(r"[0-9]{1,32}\.0{1,8}", re.ASCII)

_MAXIMUM_DEPTH: Final = 16
_LONGEST_CODE: Final = 32
_LONGEST_TEXT: Final = 1024


@dataclass(frozen=True, slots=True)
class Result:
    """What M-PESA says became of one query. Parameters stay out of the repr: they hold balances.

    `parameters` and `reference` are the Key/Value items of ResultParameters and ReferenceData, in
    the order in which they came; a key that came twice with different values has a list of them.
    """

    code: str
    description: str
    is_final: bool
    originator_conversation_id: str | None
    conversation_id: str | None
    transaction_id: str | None
    parameters: Mapping[str, Any] = field(repr=False)
    reference: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def is_success(self) -> bool:
        """Whether the code is zero, written as a number or as any run of zeros."""
        return self.code != "" and not self.code.strip("0")

    def parameter(self, key: str) -> Any:
        """The value of any result parameter; None where it was not sent."""
        return self.parameters.get(key)

    @property
    def reference_item(self) -> tuple[str, Any] | None:
        """The first reference item, such as ("QueueTimeoutURL", "https://..."); None for none."""
        return next(iter(self.reference.items()), None)

    @property
    def raw_balance(self) -> str | None:
        """The AccountBalance value as M-PESA sent it."""
        value = self.parameter(_BALANCE)
        return value if isinstance(value, str) else None

    @property
    def completed_at(self) -> datetime | None:
        """When M-PESA finished, in UTC; None where it did not say or cannot be read."""
        return _instant(self.parameter(_COMPLETED))

    def balance(self) -> Balance:
        """The accounts. Raises CallbackUnreadable where the result carries none."""
        if isinstance(self.parameter(_BALANCE), list):
            raise CallbackUnreadable("two AccountBalance parameters contradict each other")
        if self.raw_balance is None:
            raise CallbackUnreadable(
                f"ResultCode {self.code} but no AccountBalance parameter ({NO_ACCOUNT_BALANCE})"
            )
        balance = parse_balance(self.raw_balance)
        warnings = self.warnings
        if self.completed_at is None and self.parameter(_COMPLETED) is not None:
            warnings += (UNREADABLE_COMPLETED_TIME,)
        return Balance(balance.accounts, warnings + balance.warnings)

    def has_ids_other_than(self, *known: str | None) -> bool:
        """Whether both sides have conversation ids and none of them is the same."""
        ours = {known_id for known_id in known if known_id}
        theirs = {self.originator_conversation_id, self.conversation_id} - {None}
        return bool(ours and theirs and not ours & theirs)


def read_result(payload: bytes) -> Result:
    """The result in a callback body. Raises CallbackUnreadable and says what is wrong with it."""
    document = read_json(payload)
    body = document.get("Result") if isinstance(document, dict) else None
    if not isinstance(body, dict):
        raise CallbackUnreadable("the body has no Result object")
    code = read_code(body.get("ResultCode"))
    parameters, warnings = _parameters(body)
    return Result(
        code=code,
        description=without_amounts(_text(body.get("ResultDesc")) or ""),
        is_final=_whole(body.get("ResultType")).lstrip("0") != "1",
        originator_conversation_id=_text(body.get("OriginatorConversationID")),
        conversation_id=_text(body.get("ConversationID")),
        transaction_id=_text(body.get("TransactionID")),
        parameters=parameters,
        reference=_keyed(_inside(body.get("ReferenceData"), "ReferenceItem")),
        warnings=warnings,
    )


def read_json(payload: bytes) -> Any:
    """Strict JSON of a foreign body: UTF-8, no NaN, no repeated keys, no deep nesting.

    Raises CallbackUnreadable.
    """
    try:
        document = json.loads(
            payload.decode("utf-8-sig"),
            parse_float=_bounded_decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_distinct,
        )
    except RecursionError:
        raise CallbackUnreadable("the body is nested too deeply") from None
    except ValueError as error:
        raise CallbackUnreadable(f"the body is not JSON: {_where(error)}") from None
    # What has fewer brackets in all cannot be nested more deeply.
    if payload.count(b"{") + payload.count(b"[") >= _MAXIMUM_DEPTH:
        _refuse_depth(document, _MAXIMUM_DEPTH)
    return document


def _where(error: ValueError) -> str:
    # The decoder's own text can quote the body, so only its position is repeated.
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    return str(error)


def _bounded_decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = None
    if number is None or len(text) > 64 or abs(number.adjusted()) > 64:
        raise ValueError("a number is out of any range that money has")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return document


def _refuse_depth(value: Any, left: int) -> None:
    if left == 0:
        raise CallbackUnreadable("the body is nested too deeply")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_depth(inner, left - 1)


def read_code(value: Any) -> str:
    """A result code as text; M-PESA limits it to 10 characters, and may send a number."""
    is_whole = isinstance(value, Decimal) and value == value.to_integral_value()
    is_code = isinstance(value, str | int) and not isinstance(value, bool)
    text = _whole(value) if is_whole or is_code else ""
    if not text or len(text) > _LONGEST_CODE or not text.isprintable():
        raise CallbackUnreadable("Result.ResultCode is missing or is no code")
    return text


def _parameters(body: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    # mpesakit documents the two names the other way round; M-PESA has not been seen to do so.
    if "ResultParameters" not in body and isinstance(body.get("ResultParameter"), dict):
        return _keyed(_inside(body["ResultParameter"], "ResultParameters")), (SWAPPED_ENVELOPE,)
    return _keyed(_inside(body.get("ResultParameters"), "ResultParameter")), ()


def _inside(container: Any, name: str) -> Any:
    return container.get(name) if isinstance(container, dict) else None


def _keyed(items: Any) -> dict[str, Any]:
    """Key/Value items by key, whether they came as a list, as a single object or not at all."""
    found: dict[str, list[Any]] = {}
    for item in items if isinstance(items, list) else [items]:
        if isinstance(item, dict) and item.get("Key") is not None:
            values = found.setdefault(str(item["Key"]).strip(), [])
            if item.get("Value") not in values:
                values.append(item.get("Value"))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _whole(value: Any) -> str:
    """A small number or text as text: 1, 1.0, "1", "1.0" and " 1 " are the same."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    text = str(value).strip()
    return text.partition(".")[0] if _POINT_ZERO.fullmatch(text) else text


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    return printable(str(value).strip())[:_LONGEST_TEXT] or None


def _instant(value: Any) -> datetime | None:
    """BOCompletedTime (yyyyMMddHHmmss as int, string or float) in UTC."""
    text = _whole(value)
    if len(text) != 14 or not (text.isascii() and text.isdigit()):
        return None
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
    try:
        local = datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=EAST_AFRICA)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
