"""What the gateway demands of the eight fields of a query."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

_ADDRESS: Final = re.compile(r"https?://[^\s/]+/\S*")

# Stated again, and not taken from the library that keeps them: a rule that is forgotten there must
# still be kept here. (Daraja's FAQ on callback URLs.)
_FORBIDDEN: Final = ("mpesa", "safaricom", "exe", "exec", "cmd", "sql", "query")


def _is_address(value: str) -> bool:
    return bool(_ADDRESS.fullmatch(value)) and _has_host(value) and not _has_forbidden_word(value)


def _has_host(address: str) -> bool:
    try:
        return bool(urlsplit(address).hostname)
    except ValueError:
        return False


def _has_forbidden_word(address: str) -> bool:
    return any(word in address.lower() for word in _FORBIDDEN)


#: What each field must be; checked in this order, and the first that fails is named.
_FIELDS: Final[Mapping[str, Callable[[str], bool]]] = {
    "Initiator": bool,
    "SecurityCredential": bool,
    "CommandID": lambda value: value == "AccountBalance",
    "PartyA": lambda value: value.isdecimal() and 5 <= len(value) <= 12,
    "IdentifierType": lambda value: value in ("1", "2", "4"),
    "Remarks": lambda value: len(value.strip()) >= 2 and len(value) <= 100,
    "QueueTimeOutURL": _is_address,
    "ResultURL": _is_address,
}


def wrong_field(document: Mapping[str, Any]) -> str | None:
    """The first field of a query that is missing or wrong, or None."""
    for name, is_right in _FIELDS.items():
        if not is_right(str(document.get(name, ""))):
            return name
    return None


def shortcode_in(document: Any) -> str | None:
    """The shortcode that a query is about; None where what stands there is none."""
    value = str(document.get("PartyA", "")) if isinstance(document, dict) else ""
    return value if _FIELDS["PartyA"](value) else None
