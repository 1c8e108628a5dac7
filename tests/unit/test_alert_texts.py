"""The words of messages: what to know and what to do, and amounts only where they are wanted."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from mpesa_balance.alert_rules import ACKNOWLEDGED, Kind, Limits
from mpesa_balance.alert_texts import Facts, compose

SINCE = datetime(2026, 11, 22, 9, tzinfo=UTC)
ALERT = UUID(int=1)
QUERY = UUID(int=2)


def facts(kind: Kind, *, is_over: bool = False, **given: object) -> Facts:
    known: dict[str, object] = {
        "alert_id": ALERT,
        "rule_id": 7,
        "shortcode": "600000",
        "account": None,
        "since": SINCE,
        "cleared_at": SINCE if is_over else None,
        "query_id": QUERY,
        "limits": Limits(minutes=30),
        "detail": {"message": "it was said so"},
    }
    return Facts(kind=kind, is_over=is_over, **(known | given))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_says_what_it_is_since_when_and_what_to_do(kind: Kind) -> None:
    title, body = compose(facts(kind), with_amounts=False)
    assert title.startswith("M-PESA 600000: ")
    assert "since 2026-11-22 12:00:00 EAT" in body
    assert "What to do: " in body
    assert "`mpesa-balance " in body
    assert (
        f"alerts ack {ALERT}` {'ends it' if kind in ACKNOWLEDGED else 'says that you know of it'}" in body
    )
    assert "{" not in title + body


@pytest.mark.parametrize("kind", Kind)
def test_what_is_over_says_so_and_asks_for_nothing(kind: Kind) -> None:
    title, body = compose(facts(kind, is_over=True), with_amounts=True)
    assert title.startswith("M-PESA 600000: over: ")
    assert "It has been over since 2026-11-22 12:00:00 EAT." in body
    assert "What to do" not in body


def test_amounts_are_told_with_what_they_were_compared_with_or_not_at_all() -> None:
    known = facts(
        Kind.DROP,
        account="Utility Account",
        limits=Limits(amount=Decimal("1000"), percent=Decimal("12.5"), minutes=30),
        detail={"available": "1234.50", "compared": "99000.00", "currency": "KES"},
    )
    title, body = compose(known, with_amounts=True)
    assert title.endswith("dropped by more than its limit within 30 minutes")
    assert (
        "Available KES 1,234.50, highest in the window KES 99,000.00, limit KES 1,000, limit 12.5 %."
        in body
    )
    for text in (title, compose(known, with_amounts=False)[1]):
        assert not any(amount in text for amount in ("1,234", "1234", "99", "1,000", "12.5"))
