"""Foreign texts made fit to store and to show. Pure."""

import re

#: An amount as M-PESA writes it. A dotted code, such as 400.002.02, is none.
_AMOUNT = re.compile(r"(?<![\d.,])\d[\d,]*\.\d{2}(?![\d.])", re.ASCII)


def printable(text: str) -> str:
    """The text without what JSON allows and no column, log or terminal should get."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def without_amounts(text: str) -> str:
    """The text with its amounts of money left out: descriptions are stored and logged in the clear."""
    return _AMOUNT.sub("[amount]", text)
