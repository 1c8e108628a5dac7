"""Who types: the name under which the command's user is in the audit trail."""

import os
import platform
import pwd
from typing import Final

from mpesa_balance.errors import RequestRefused

#: Names the person where the system's user is one that several share: a container's, root.
VARIABLE: Final = "MPESA_BALANCE_ACTOR"

_LONGEST: Final = 80


def actor() -> str:
    """The user and the machine, `cli:alice@till-1`; with a name of its own, `cli:alice (root@till-1)`.

    That name is added to what the system knows and never takes its place. Raises RequestRefused where
    it is none.
    """
    account = f"{user()}@{platform.node()}"
    named = os.environ.get(VARIABLE)
    if named is None:
        return f"cli:{account}"
    if not (named.isprintable() and 0 < len(named.strip()) <= _LONGEST):
        raise RequestRefused([f"{VARIABLE} must be a name of 1 to {_LONGEST} printable characters"])
    return f"cli:{named.strip()} ({account})"


def user() -> str:
    """The system's name for whoever types."""
    # Not getpass: it believes LOGNAME, which anybody sets.
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        # A container may run under a number that has no name.
        return f"uid-{number}"
