"""Messages about alerts go out through their channels: at least once, and none holds up another."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mpesa_balance import alert_channels, alert_messages, alert_texts, alerts, logs, sending
from mpesa_balance.alert_messages import CLEARED, Message
from mpesa_balance.alert_texts import Facts
from mpesa_balance.errors import NotDelivered, RequestRefused, SealBroken
from mpesa_balance.sealing import Sealer
from worker.house import House

logger = logs.get_logger(__name__)

#: How long a round goes on beginning to send, in seconds; with what it has begun then it stays well
#: below the time that a task has.
_ROUND: Final = 15

#: So many channels are waited for at once.
_THREADS: Final = 8


def deliver(house: House) -> None:
    """Send what is due: the next message of each channel at once, until there is none or time is up."""
    ends = time.monotonic() + _ROUND
    while time.monotonic() < ends:
        with house.database.transaction() as connection:
            claimed = alert_messages.claim(connection)
        if not claimed:
            return
        with ThreadPoolExecutor(min(len(claimed), _THREADS), "channel") as threads:
            for told in [threads.submit(_tell, house, message) for message in claimed]:
                told.result()


def _tell(house: House, message: Message) -> None:
    """Send one message and record what became of it."""
    reason = _send(house.database.sealer, message)
    with house.database.transaction() as connection:
        if reason is None:
            alert_messages.delivered(connection, message)
            level, event = logging.INFO, "alert_sent"
        elif alert_messages.put_off(connection, message, reason):
            level, event = logging.WARNING, "alert_put_off"
        else:
            level, event = logging.ERROR, "alert_given_up"
    about = {"message_id": message.id, "alert_id": message.alert_id, "channel": message.channel}
    logger.log(level, event, what=message.what, reason=reason, **about)


def _send(sealer: Sealer, message: Message) -> str | None:
    """Why the message was not sent; None where it was."""
    try:
        url = sealer.open_text(message.url, alert_channels.url_place(message.channel))
        title, body = alert_texts.compose(_facts(sealer, message), with_amounts=message.with_amounts)
        sending.send(url, title, body, _mark(message))
    except (NotDelivered, RequestRefused, SealBroken) as error:
        return str(error)
    return None


def _facts(sealer: Sealer, message: Message) -> Facts:
    return Facts(
        alert_id=message.alert_id,
        rule_id=message.rule_id,
        kind=message.kind,
        shortcode=message.shortcode,
        account=message.account,
        since=message.since,
        cleared_at=message.cleared_at,
        query_id=message.query_id,
        limits=alerts.opened_limits(sealer, message.rule_id, message.limits),
        detail=alerts.opened_detail(sealer, message.alert_id, message.detail),
        is_over=message.what == CLEARED,
    )


def _mark(message: Message) -> str:
    if message.what == CLEARED:
        return sending.CLEARED
    return sending.URGENT if message.urgent else sending.RAISED
