"""What a log line must not tell: values under telling names, and passwords inside of addresses.

The second line of defence. The first is that nobody passes such a value to a logger.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from mpesa_balance.callback_urls import PATH

MASK: Final = "***"

#: Parts of names, without dashes and underscores, whose values are credentials, keys or money.
_TELLING: Final = re.compile(
    "passw|passphrase|secret|token|credential|authorization|cookie|apikey|consumerkey|sealingkey"
    "|callbackkey|privatekey|balance|available|amount|uncleared|reserved|accounts|payload",
    re.IGNORECASE,
)

_ADDRESS_PASSWORD: Final = re.compile(r"(\w://[^\s:/@]*:)[^\s/]+@")
_BEARER: Final = re.compile(r"\b(Bearer|Basic) +[\w.~+/=-]{16,}")
_CALLBACK_TOKEN: Final = re.compile(rf"({re.escape(PATH)}/)[^\s/\"']+")

#: What stands in every text that one of these finds something in; most texts have none of it.
_SUSPICIOUS: Final = re.compile("/|Bearer|Basic")

#: What every renderer shows as it is.
_PLAIN: Final = (str, int, float, bool, type(None))


@lru_cache(maxsize=1000)
def is_telling(name: str) -> bool:
    """Whether a value of this name is kept out of the log."""
    return _TELLING.search(re.sub(r"[-_. ]", "", name)) is not None


def masked(value: Any) -> Any:
    """The value as a log may have it: telling names masked at any depth, everything else as plain data.

    Instants become UTC in ISO 8601 with Z; what is no plain data becomes its text.
    """
    if isinstance(value, Mapping):
        return {str(name): _masked_item(str(name), one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(one) for one in value]
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if type(value) in _PLAIN and not isinstance(value, str):
        return value
    return masked_text(str(value))


def masked_text(text: str) -> str:
    """The text without passwords of addresses, tokens of headers and tokens of callback addresses."""
    if not _SUSPICIOUS.search(text):
        return text
    text = _ADDRESS_PASSWORD.sub(rf"\1{MASK}@", text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    return _CALLBACK_TOKEN.sub(rf"\1{MASK}", text)


def _masked_item(name: str, value: Any) -> Any:
    return MASK if value is not None and is_telling(name) else masked(value)
