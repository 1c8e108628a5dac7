"""Where Safaricom's callbacks come from, and what is made of a sender who is elsewhere. Pure.

The twelve addresses are those of the Daraja go-live page, on which three libraries agree. Real
callbacks have come from others too, and the sandbox posts from anywhere: what authenticates a
callback is the token in its address, and this is only a policy on top of it.
"""

from enum import StrEnum
from typing import Final

KNOWN: Final = frozenset(
    {
        "196.201.212.69",
        "196.201.212.74",
        "196.201.212.127",
        "196.201.212.129",
        "196.201.212.136",
        "196.201.212.138",
        "196.201.213.44",
        "196.201.213.114",
        "196.201.214.200",
        "196.201.214.206",
        "196.201.214.207",
        "196.201.214.208",
    }
)


class AddressPolicy(StrEnum):
    """What is done about a callback whose sender is not known."""

    OFF = "off"  #: nothing
    FLAG = "flag"  #: it is taken, and marked for people to look at
    ENFORCE = "enforce"  #: it is refused with 403


def parse_policy(text: str) -> AddressPolicy:
    """The policy of a setting. Raises ValueError."""
    try:
        return AddressPolicy(text.lower())
    except ValueError:
        raise ValueError(f"must be one of {', '.join(AddressPolicy)}") from None


def is_known(address: str | None) -> bool:
    """Whether Safaricom is known to send from this address; an IPv4 one may be written as IPv6."""
    return (address or "").removeprefix("::ffff:") in KNOWN
