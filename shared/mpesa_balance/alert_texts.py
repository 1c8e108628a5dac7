"""The words of a message about an alert, with amounts only where they are wanted. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from mpesa_balance.alert_rules import ACKNOWLEDGED, OF_ACCOUNTS, Kind, Limits
from mpesa_balance.results import EAST_AFRICA


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a message is about. `detail` and `limits` hold amounts, which only some channels may tell.

    is_over: the message tells that the alert is over; one that tells of it may say when it ended as well.
    """

    alert_id: UUID
    rule_id: int
    kind: Kind
    shortcode: str | None
    account: str | None
    since: datetime
    cleared_at: datetime | None
    query_id: UUID | None
    limits: Limits
    detail: Mapping[str, str] = field(repr=False)
    is_over: bool = False


def compose(facts: Facts, *, with_amounts: bool) -> tuple[str, str]:
    """The title and the body of a message, in plain text."""
    subject = " ".join(filter(None, ("M-PESA", facts.shortcode, facts.account)))
    over = "over: " if facts.is_over else ""
    return f"{subject}: {over}{headline(facts)}", "\n".join(_lines(facts, with_amounts))


def headline(facts: Facts) -> str:
    """What the matter is, in a few words and without amounts."""
    return _HEADLINES[facts.kind].format(minutes=facts.limits.minutes)


def amounts(facts: Facts) -> str:
    """The amounts that show it, in a sentence; empty for an event."""
    if "available" not in facts.detail:
        return ""
    currency = facts.detail.get("currency", "")
    shown = [("Available", facts.detail["available"])]
    if "compared" in facts.detail:
        shown.append((_COMPARED.get(facts.kind, "before"), facts.detail["compared"]))
    limits = facts.limits.document()
    shown += [(word, limits[name]) for name, word in _LIMITS.items() if name in limits]
    parts = [f"{word} {currency} {Decimal(value):,}".replace("  ", " ") for word, value in shown]
    percent = [f"limit {limits['percent']} %"] if "percent" in limits else []
    return ", ".join(parts + percent) + "."


def _lines(facts: Facts, with_amounts: bool) -> Iterator[str]:
    yield f"{headline(facts).capitalize()}, since {_moment(facts.since)}."
    if facts.cleared_at is not None:
        yield f"It has been over since {_moment(facts.cleared_at)}."
    if message := facts.detail.get("message"):
        yield message
    if with_amounts and not facts.is_over and (shown := amounts(facts)):
        yield shown
    yield ""
    if not facts.is_over:
        advice = _ADVICE.get(facts.kind) or _LOOK
        yield f"What to do: {advice.format(shortcode=facts.shortcode or '', query=facts.query_id or '')}"
        end = "ends it" if facts.kind in ACKNOWLEDGED else "says that you know of it"
        yield f"`mpesa-balance alerts ack {facts.alert_id}` {end}."
    yield f"Alert {facts.alert_id}, rule {facts.rule_id} ({facts.kind})."


def _moment(instant: datetime) -> str:
    return f"{instant.astimezone(EAST_AFRICA):%Y-%m-%d %H:%M:%S} EAT"


_HEADLINES: Final[Mapping[Kind, str]] = {
    Kind.BELOW: "the available balance is below its threshold",
    Kind.ABOVE: "the available balance is above its threshold",
    Kind.CHANGE: "the available balance changed by more than its limit",
    Kind.DROP: "the available balance dropped by more than its limit within {minutes} minutes",
    Kind.STALE: "no fresh balance for {minutes} minutes",
    Kind.QUERY_FAILED: "a balance query failed",
    Kind.QUERY_TIMED_OUT: "a balance query timed out",
    Kind.UNEXPECTED_CODE: "M-PESA gave a code that is not known",
    Kind.APP_REFUSED: "Daraja refused the app's consumer key or secret",
    Kind.SHORTCODE_SUSPENDED: "the shortcode is suspended",
    Kind.PASSWORD_AGEING: "the initiator's password will expire soon",
    Kind.PASSWORD_EXPIRED: "the initiator's password has expired",
    Kind.CALLBACK_CONFLICT: "a callback contradicts the one that was applied",
    Kind.CALLBACK_UNMATCHED: "a callback belongs to nothing that was asked",
    Kind.CALLBACK_UNREADABLE: "a callback cannot be read",
    Kind.TASK_QUARANTINED: "a task was put into quarantine",
}

_COMPARED: Final[Mapping[Kind, str]] = {Kind.CHANGE: "before that", Kind.DROP: "highest in the window"}
_LIMITS: Final[Mapping[str, str]] = {"threshold": "threshold", "clear_at": "over at", "amount": "limit"}

_LOOK: Final = "look at it with `mpesa-balance balances {shortcode}`."
_STATUS: Final = (
    "`mpesa-balance status {query}` shows what happened, `mpesa-balance explain CODE` what it means."
)
_INBOX: Final = "look at `mpesa-balance callbacks list`; `callbacks replay` after a fix."
_RENEW: Final = (
    "set a new password on the M-PESA portal, then `mpesa-balance shortcodes add {shortcode} --replace`."
)

_ADVICE: Final[Mapping[Kind, str]] = {
    **dict.fromkeys(OF_ACCOUNTS, _LOOK),
    Kind.STALE: "`mpesa-balance doctor {shortcode}` says what is in the way, `mpesa-balance query "
    "{shortcode} --wait` asks for one.",
    **dict.fromkeys((Kind.QUERY_FAILED, Kind.QUERY_TIMED_OUT, Kind.UNEXPECTED_CODE), _STATUS),
    Kind.APP_REFUSED: "correct the app's consumer key and secret: `mpesa-balance apps add --replace`.",
    Kind.SHORTCODE_SUSPENDED: "mend what was refused, then `mpesa-balance shortcodes resume {shortcode}`.",
    **dict.fromkeys((Kind.PASSWORD_AGEING, Kind.PASSWORD_EXPIRED), _RENEW),
    **dict.fromkeys((Kind.CALLBACK_CONFLICT, Kind.CALLBACK_UNMATCHED, Kind.CALLBACK_UNREADABLE), _INBOX),
    Kind.TASK_QUARANTINED: "look at `mpesa-balance quarantine list`.",
}
