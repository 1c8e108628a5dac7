"""Foreign texts made fit to store and to show. Pure."""


def printable(text: str) -> str:
    """The text without what JSON allows and no column, log or terminal should get."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
