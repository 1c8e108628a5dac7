"""Sending a message through a channel, by apprise. Nothing of a channel's address leaves here."""

import logging
import re
from typing import Final
from urllib.parse import unquote

import apprise

from mpesa_balance.errors import NotDelivered, RequestRefused

#: How long a channel may take to take one message, in seconds.
DEADLINE: Final = 10

#: The kinds of messages, as channels mark them.
RAISED: Final = apprise.NotifyType.WARNING
URGENT: Final = apprise.NotifyType.FAILURE
CLEARED: Final = apprise.NotifyType.SUCCESS
TEST: Final = apprise.NotifyType.INFO

_UNREADABLE: Final = (
    "the channel's URL is none that apprise reads: check it against the examples in ops/docs/alerts.md; "
    "special characters in passwords are written as %-escapes"
)

#: What may be told of a failure, in characters.
_LONGEST_REASON: Final = 300


def check_url(url: str) -> None:
    """Raises RequestRefused where a channel cannot be reached by this address, which is not repeated."""
    _channel(url)


def send(url: str, title: str, body: str, kind: str = TEST) -> None:
    """Send one message; returns within a moment more than `DEADLINE`.

    Raises NotDelivered, whose text repeats neither the address nor an amount, or RequestRefused
    where the address is none.
    """
    channel = _channel(url)
    result = channel.notify(
        body=body,
        title=title,
        notify_type=kind,
        body_format=apprise.NotifyFormat.TEXT,
        timeout=DEADLINE,
        log_level=logging.WARNING,
    )
    if not result:
        said = " ".join(str(entry.message) for entry in result.logs())
        raise NotDelivered(_reason(said, url, body) or "the channel did not say why")


def _channel(url: str) -> apprise.Apprise:
    _quieten()
    # Nothing is kept on the disk between messages.
    channel = apprise.Apprise(asset=apprise.AppriseAsset(app_id="mpesa-balance", storage_mode="memory"))
    service = None if re.search(r"\s", url) else apprise.Apprise.instantiate(url, asset=channel.asset)
    if service is None:
        raise RequestRefused([_UNREADABLE])
    channel.add(service)
    return channel


def _quieten() -> None:
    """Let no logger tell of addresses: paths and hosts of channels are their credentials."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    if not logger.handlers:
        # Without one, Python would print to standard error.
        logger.addHandler(logging.NullHandler())
    # Its warnings about odd answers hold whole addresses.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def _reason(said: str, url: str, body: str) -> str:
    """What went wrong in one line, without anything that stands in the address, and without amounts."""
    parts = {part for part in re.split(r"[^\w.%+~-]+", url.partition("://")[2]) if len(part) > 2}
    amounts = set(re.findall(r"[0-9][0-9,]*\.[0-9]+", body))
    amounts |= {text.replace(",", "") for text in amounts}
    secrets = parts | {unquote(part) for part in parts} | amounts
    for secret in sorted(secrets, key=len, reverse=True):
        said = re.sub(re.escape(secret), "***", said, flags=re.IGNORECASE)
    return " ".join(said.split())[:_LONGEST_REASON]
