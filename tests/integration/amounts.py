"""Amounts in texts in which none may be."""

import re


def says(amount: str, text: str) -> bool:
    """Whether an amount stands in a text: as a number of its own, because instants, durations and ids may
    well have its digits among theirs."""
    return re.search(rf"(?<![0-9a-f.]){amount}(?![0-9a-f])", text) is not None
