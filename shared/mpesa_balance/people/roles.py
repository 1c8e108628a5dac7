"""Roles, what each may do, and whose balances a person may see. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mpesa_balance.errors import Forbidden


class Role(StrEnum):
    """What somebody is in the console."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


class Right(StrEnum):
    """What can be done there; each is written as it reads after "may"."""

    LOOK = "look at balances"
    ASK = "ask for a balance"
    RECONCILE = "reconcile"
    HANDLE = "look into the inbox and replay callbacks"
    ACKNOWLEDGE = "acknowledge alerts"
    MANAGE = "manage people"


_OPERATING: Final = frozenset(Right) - {Right.MANAGE}

#: What each role may do.
RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.VIEWER: frozenset({Right.LOOK}),
    Role.OPERATOR: _OPERATING,
    Role.ADMINISTRATOR: frozenset(Right),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who has shown who he is. shortcodes: those that he may see; None for all of them."""

    name: str
    role: Role
    shortcodes: frozenset[str] | None

    def may(self, right: Right) -> bool:
        """Whether his role has this right."""
        return right in RIGHTS[self.role]

    def sees(self, shortcode: str | None) -> bool:
        """Whether he may see what concerns a shortcode; None is what concerns none, or an unknown one."""
        return self.shortcodes is None or shortcode in self.shortcodes

    def demand(self, right: Right) -> None:
        """Raise Forbidden where his role has not this right."""
        if not self.may(right):
            who = " or ".join(role for role in Role if right in RIGHTS[role])
            raise Forbidden(f"{self.name} is {_a(self.role)} and may not {right}: ask {_a(who)}")

    def demand_shortcode(self, shortcode: str) -> None:
        """Raise Forbidden where he may not see this shortcode, whether there is one or not."""
        if not self.sees(shortcode):
            raise Forbidden(
                f"shortcode {shortcode} is not among those that {self.name} may see: "
                "an administrator grants it"
            )


def _a(role: str) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
