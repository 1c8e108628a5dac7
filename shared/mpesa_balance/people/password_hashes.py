"""Passwords of people: which may be chosen, how each is hashed and compared."""

import re
import threading
from collections.abc import Iterable
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from zxcvbn import zxcvbn

from mpesa_balance.errors import RequestRefused

#: Of what people choose: as long as a sentence at least, and no longer than a hash is worth.
SHORTEST, LONGEST = 12, 200

#: zxcvbn's scale ends at 4; 3 is what a guesser with the hash needs years for.
_STRONG_ENOUGH: Final = 3

#: What everybody here thinks of first.
_OURS: Final = ("m-pesa", "mpesa", "safaricom", "balance")

#: It looks at no more than this, which is enough to be strong: its time grows with the square of it.
_LOOKED_AT: Final = 40

#: The library's own parameters follow RFC 9106: 64 MiB and three passes.
_HASHER: Final = PasswordHasher()

#: Each of these takes a core, and 64 MiB: strangers must not take all of them.
_AT_ONCE: Final = threading.BoundedSemaphore(2)

#: Compared with where a name has no password, so that it takes as long.
_NOBODYS: Final = _HASHER.hash("nobody's password")


def hashed(password: str, name: str) -> str:
    """What is kept of a password that somebody has chosen. Raises RequestRefused, and never repeats it.

    name: the user's; it and its parts count for nothing in a password, nor do the words of this house.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise RequestRefused(
            [f"a password has {SHORTEST} to {LONGEST} characters: a sentence is a good one"]
        )
    known = (name, *re.split(r"[\W_]+", name), *_OURS)
    with _AT_ONCE:
        found = zxcvbn((_without(known, password) or name)[:_LOOKED_AT], user_inputs=known)
    if found["score"] < _STRONG_ENOUGH:
        told = found["feedback"]
        advice = " ".join(filter(None, (told["warning"], *told["suggestions"]))) or "Add words."
        raise RequestRefused([f"this password would be guessed: {advice}"])
    with _AT_ONCE:
        return _HASHER.hash(password)


def is_right(password_hash: str | None, password: str) -> bool:
    """Whether this is the password that was hashed; it takes as long where there is none."""
    with _AT_ONCE:
        try:
            _HASHER.verify(password_hash or _NOBODYS, password[: LONGEST + 1])
        except VerifyMismatchError:
            return False
    return password_hash is not None


def renewed(password_hash: str | None, password: str) -> str | None:
    """A newer hash of a password that was right, where the library has stronger parameters by now."""
    if password_hash is None or not _HASHER.check_needs_rehash(password_hash):
        return None
    with _AT_ONCE:
        return _HASHER.hash(password)


def _without(known: Iterable[str], password: str) -> str:
    """What a password has besides words that are known: zxcvbn finds any three in a row strong."""
    rest = password
    for word in known:
        if len(word) > 2:
            rest = re.sub(re.escape(word), "", rest, flags=re.IGNORECASE)
    return rest
