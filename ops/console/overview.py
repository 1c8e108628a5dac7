"""How everything stands now, shortcode by shortcode: what the page of balances shows."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from mpesa_balance import alert_history, history, series
from mpesa_balance.alert_history import Alert
from mpesa_balance.answers import BalanceAnswer
from mpesa_balance.balances import Account
from mpesa_balance.database import Connection
from mpesa_balance.sealing import Sealer
from mpesa_balance.series import Point
from mpesa_balance.shortcode_lists import Brief
from mpesa_balance.states import QueryState

#: A sparkline goes through so many balances at most.
_POINTS: Final = 20

#: What is seen beside the newest balance, in the audit's words.
COURSE: Final = f"with the last {_POINTS} and that of a day ago"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """An account as it stands. change: of what is available, since a day ago; None where that is unknown.

    course: what was available of late, oldest first.
    """

    account: Account
    change: Decimal | None = field(repr=False)
    course: tuple[Decimal, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A shortcode as it stands. newest: None before its first balance. asked: a query that is in flight."""

    brief: Brief
    newest: BalanceAnswer | None
    lines: tuple[AccountLine, ...] = field(repr=False)
    asked: QueryState | None
    alerts: tuple[Alert, ...]


def standings(connection: Connection, sealer: Sealer, briefs: Sequence[Brief]) -> list[Standing]:
    """How these shortcodes stand, in their order."""
    names = [brief.shortcode for brief in briefs]
    told = history.latest(connection, sealer, names)
    newest = {answer.shortcode: answer for answer in told}
    before = history.since_yesterday(connection, sealer, told)
    asked = history.in_flight(connection)
    alerts, courses = defaultdict[str, list[Alert]](list), defaultdict[str, list[Point]](list)
    for alert in alert_history.listed(connection, sealer, names):
        alerts[alert.shortcode or ""].append(alert)
    for point in series.newest(connection, sealer, names, _POINTS):
        courses[point.shortcode].append(point)
    return [
        Standing(
            brief=brief,
            newest=newest.get(brief.shortcode),
            lines=_lines(
                newest.get(brief.shortcode), before.get(brief.shortcode), courses[brief.shortcode]
            ),
            asked=asked.get(brief.shortcode),
            alerts=tuple(alerts[brief.shortcode]),
        )
        for brief in briefs
    ]


def _lines(
    newest: BalanceAnswer | None, before: BalanceAnswer | None, course: Sequence[Point]
) -> tuple[AccountLine, ...]:
    accounts = newest.accounts if newest else ()
    were = {one.name: one.available for one in before.accounts} if before else {}
    # What is available comes first: that is what can be paid with.
    ordered = sorted(accounts, key=lambda one: one.available is None or one.available == 0)
    return tuple(
        AccountLine(
            account=account,
            change=_difference(account.available, were.get(account.name)),
            course=_course(account.name, course),
        )
        for account in ordered
    )


def _difference(now: Decimal | None, before: Decimal | None) -> Decimal | None:
    return None if now is None or before is None else now - before


def _course(name: str, points: Sequence[Point]) -> tuple[Decimal, ...]:
    found = (one.available for point in points for one in point.accounts if one.name == name)
    return tuple(available for available in found if available is not None)
