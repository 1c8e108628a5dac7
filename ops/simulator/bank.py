"""The money behind the simulator: accounts of every shortcode, which move from query to query."""

import random
import threading
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

_CENT: Final = Decimal("0.01")


@dataclass(slots=True)
class _Accounts:
    """The four accounts that a pay bill has, as the Account Balance page lists them."""

    chance: random.Random
    working: Decimal
    utility: Decimal
    charges: Decimal = Decimal("0.00")
    reserved: Decimal = Decimal("0.00")
    uncleared: Decimal = Decimal("0.00")

    def move(self) -> None:
        """Let some customers pay, charge the tariff, and now and then settle to the bank."""
        paid = self._amount(50_000)
        self.utility += paid
        self.charges -= (paid * Decimal("0.0055")).quantize(_CENT)
        self.reserved = self._amount(5_000) if self.chance.random() < 0.3 else Decimal("0.00")
        self.uncleared = self._amount(20_000) if self.chance.random() < 0.3 else Decimal("0.00")
        if self.chance.random() < 0.1:
            self.working += self.utility + self.charges
            self.utility = self.charges = Decimal("0.00")

    def line(self) -> str:
        """The AccountBalance value: available is current less reserved, uncleared is not deducted."""
        available = self.charges - self.reserved
        return "&".join(
            (
                f"Working Account|KES|{self.working}|{self.working}|0.00|0.00",
                f"Utility Account|KES|{self.utility}|{self.utility}|0.00|{self.uncleared}",
                f"Charges Paid Account|KES|{self.charges}|{available}|{self.reserved}|0.00",
                "Organization Settlement Account|KES|0.00|0.00|0.00|0.00",
            )
        )

    def _amount(self, most: int) -> Decimal:
        return Decimal(self.chance.randrange(100, most * 100)).scaleb(-2)


@dataclass(frozen=True, slots=True)
class Bank:
    """Accounts by shortcode. The same seed tells the same story for each shortcode."""

    seed: int
    _accounts: dict[str, _Accounts] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def balance(self, shortcode: str) -> str:
        """The AccountBalance value of a shortcode as it stands now."""
        with self._lock:
            accounts = self._accounts.get(shortcode) or self._opened(shortcode)
            accounts.move()
            return accounts.line()

    def _opened(self, shortcode: str) -> _Accounts:
        chance = random.Random(f"{self.seed}/{shortcode}")  # noqa: S311 - it only tells a story
        working = Decimal(chance.randrange(100_000, 90_000_000)).scaleb(-2)
        utility = Decimal(chance.randrange(100_000, 20_000_000)).scaleb(-2)
        return self._accounts.setdefault(shortcode, _Accounts(chance, working, utility))
