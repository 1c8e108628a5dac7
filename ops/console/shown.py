"""How amounts, instants, changes and lines look on the pages: the filters of the templates."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from flask import Flask, g
from markupsafe import Markup

from mpesa_balance.answers import BalanceAnswer
from mpesa_balance.moments import told
from mpesa_balance.people.roles import Right

#: Of a sparkline, in its own units.
_WIDTH, _HEIGHT, _EDGE = 120, 28, 2

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def register(app: Flask) -> None:
    """Give the templates their filters, and who is there."""
    for one in (amount, change, moment, age, as_of, sparkline, state):
        app.add_template_filter(one)
    app.context_processor(lambda: {"person": g.get("person"), "Right": Right})


def amount(value: Decimal | None) -> str:
    """An amount as people read it."""
    return "not told" if value is None else f"{value:,}"


def change(value: Decimal | None) -> str:
    """A difference with its sign; empty where there is nothing to compare with."""
    if value is None:
        return ""
    return f"{value:+,}" if value else "no change"


def moment(instant: datetime | None) -> str | Markup:
    """An instant, which programs read to the letter and people in East Africa Time; empty for none."""
    if instant is None:
        return ""
    return Markup('<time datetime="{}">{}</time>').format(instant.isoformat(), told(instant))


def age(instant: datetime | None) -> Markup:
    """How long ago that was, in the largest unit that fits; ages.js keeps it true. Empty for none."""
    if instant is None:
        return Markup("")
    seconds = max(int((datetime.now(UTC) - instant).total_seconds()), 0)
    length, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    told_text = f"{seconds // length} {unit}"
    shown = Markup('<time class="age" datetime="{}" title="{}">{}</time>')
    return shown.format(instant.isoformat(), told(instant), told_text)


def as_of(answer: BalanceAnswer) -> datetime | None:
    """When the balances of an answer stood so, or when it came where M-PESA did not say."""
    return answer.completed_at or answer.ended_at


def state(value: str) -> str:
    """A state or a disposition in words."""
    return str(value).replace("_", " ")


def sparkline(values: Sequence[Decimal], name: str) -> Markup:
    """A small line through these amounts, oldest first; nothing for fewer than two.

    Its name is for those who do not see it.
    """
    if len(values) < 2:
        return Markup("")
    lowest, span = min(values), max(values) - min(values)
    step = Decimal(_WIDTH - 2 * _EDGE) / (len(values) - 1)
    points = " ".join(
        f"{_EDGE + place * step:.1f},{_down(value, lowest, span):.1f}" for place, value in enumerate(values)
    )
    told = f"{name}: {len(values)} balances, from {values[0]:,} to {values[-1]:,}"
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<polyline points="{}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    ).format(_WIDTH, _HEIGHT, told, points)


def _down(value: Decimal, lowest: Decimal, span: Decimal) -> Decimal:
    room = _HEIGHT - 2 * _EDGE
    # What never changes is drawn in the middle.
    share = (value - lowest) / span if span else Decimal("0.5")
    return _EDGE + room * (1 - share)
