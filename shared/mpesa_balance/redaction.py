"""What must not come in: the SecurityCredential that a queue timeout may echo, in any shape. Pure.

The echo of our own request has no documented form, so it is looked for in the bytes and not in a
parsed document: a body that is truncated, doubly encoded or no JSON at all must not bring it in.
"""

import re
import string
from typing import Final

#: Stands where a credential stood.
REMOVED: Final = b"[removed]"

#: A credential is RSA's output in base64: 344 characters for 2048 bits, 172 for 1024. Nothing else in
#: a callback is base64 of such length. A NUL or three may stand between the letters (UTF-16, UTF-32).
_SHORTEST: Final = 160

# JSON inside JSON doubles the backslashes; bounded, so that no body takes long to look through.
_SLASHES: Final = rb"\\{1,8}"
_QUOTE: Final = rb'(?:\\{0,8}")'
_SPACE: Final = rb"\s{0,99}"

_LETTER: Final = (
    rb"(?:(?:[A-Za-z0-9+/=_-]|%%[0-9A-Fa-f]{2}|&#x?[0-9A-Fa-f]{2};|\r?\n[ \t]{0,64}"
    rb"|%b(?:[/nrt]|u00[0-9A-Fa-f]{2}))\x00{0,3})" % _SLASHES
)
_LONG = re.compile(rb"[A-Za-z0-9+/]\x00{0,3}%b{%d,}" % (_LETTER, _SHORTEST))

#: Of whatever that may consist, in any order: nearly no body has so much of it in a row, and this takes
#: a hundredth of the time to say so.
_LETTERS: Final = string.ascii_letters.encode() + string.digits.encode() + b"+/=_-%&#;\\\r\n \t\x00"
_MARKED: Final = bytes(1 if sign in _LETTERS else 0 for sign in range(256))
_LONG_ENOUGH: Final = b"\x01" * _SHORTEST


def _escaped(letter: int) -> bytes:
    """A letter of a name as JSON may write it: itself, or as an escape of its number."""
    return rb"(?:%c|%bu00%02x)" % (letter, _SLASHES, letter)


_NAME: Final = b"SecurityCredential"

# By its name, of any length: "Name": "value", "Key": "Name", "Value": "value", name=value. A value ends
# at a quote with as many backslashes before it as the one that it began with, or with the body. A text
# that merely ends in the name, as error messages do, is followed by neither and stays as it is.
_NAMED = re.compile(
    rb"(%(name)b(?:%(quote)b%(space)b(?::|,%(space)b%(quote)bValue%(quote)b%(space)b:)%(space)b\[?%(space)b"
    rb'(?P<slashes>\\{0,8})"|=))(?(slashes).*?((?<!\\)(?P=slashes)"|\Z)|[^&\s"\\,}]+)'
    % {
        b"name": b"".join(_escaped(letter) for letter in _NAME),
        b"quote": _QUOTE,
        b"space": _SPACE,
    },
    re.IGNORECASE | re.DOTALL,
)


def without_credentials(body: bytes) -> bytes:
    """The body, byte for byte, but for what is or names a security credential."""
    if _may_name_one(body):
        body = _NAMED.sub(rb"\1" + REMOVED + rb"\3", body)
    return _LONG.sub(REMOVED, body) if _LONG_ENOUGH in body.translate(_MARKED) else body


def _may_name_one(body: bytes) -> bool:
    """Whether its name stands there, or any escape, which a letter of it could be."""
    lowered = body.lower()
    return _NAME.lower() in lowered or b"u00" in lowered
