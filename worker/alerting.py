"""Alerts are raised and cleared: by new balances, by their absence, by what the outbox tells of.

Nothing of it is in the way of a callback: balances are examined a moment after they were stored.
"""

from typing import Final

from mpesa_balance import alert_rulebook, alerts, examination, logs
from mpesa_balance.alert_rules import ANSWERED, OF_ACCOUNTS, Finding, Kind, Outcome, Rule, Seen, evaluate
from mpesa_balance.alerts import Subject
from mpesa_balance.database import Connection
from mpesa_balance.errors import SealBroken
from mpesa_balance.examination import Asked, Freshness, Stored
from mpesa_balance.outbox import QUERY_FAILED, Notice
from mpesa_balance.result_codes import row_for
from mpesa_balance.sealing import Sealer
from mpesa_balance.stored_balances import open_balance
from worker.house import House

logger = logs.get_logger(__name__)

_BATCH: Final = 100

#: So many batches in one tick: what is left waits for the next one, and holds up no other work.
_BATCHES: Final = 10


def look(house: House) -> None:
    """Raise and clear what new balances, their absence, and people's own work give reason for."""
    examine_all(house)
    with house.database.transaction() as connection:
        if alerts.is_alone(connection):
            _look_at_freshness(connection, house.database.sealer)
            alerts.clear_mended(connection)


def examine_all(house: House) -> None:
    """Hold the rules against new balances, as many as one tick has time for."""
    for _ in range(_BATCHES):
        if examine(house) < _BATCH:
            break


def examine(house: House) -> int:
    """Hold the rules against new balances; gives how many there were, of a hundred at most."""
    with house.database.transaction() as connection:
        if not alerts.is_alone(connection):
            # Whoever is at it looks at these as well, or the next tick does.
            return 0
        new = examination.unexamined(connection, _BATCH)
        if new:
            _Examination(connection, house.database.sealer).of(new)
    return len(new)


def tell_of(connection: Connection, sealer: Sealer, notices: list[Notice]) -> None:
    """Raise what the rules say of these notices, in the transaction that takes them."""
    if not notices:
        return
    alerts.be_alone(connection)
    # What was over before it happened again is over; it would pass for the one that happens now.
    alerts.clear_mended(connection)
    rules = alert_rulebook.usable(connection, sealer, set(Kind) - OF_ACCOUNTS)
    for notice in notices:
        asked = examination.asked(connection, notice.query_id) if notice.query_id else None
        shortcode = notice.shortcode or (asked.shortcode if asked else None)
        kinds = _kinds(notice, asked)
        for rule in rules:
            if rule.kind in kinds and rule.concerns(shortcode):
                alerts.raise_(
                    connection,
                    sealer,
                    rule,
                    shortcode=shortcode,
                    since=notice.created_at,
                    query_id=notice.query_id,
                    detail={"message": notice.message},
                )


def _kinds(notice: Notice, asked: Asked | None) -> set[str]:
    kinds = {notice.topic}
    code, text = (asked.result_code, asked.result_description or "") if asked else (None, "")
    if notice.topic == QUERY_FAILED and code and row_for(code, text) is None:
        kinds.add(Kind.UNEXPECTED_CODE)
    # What M-PESA has answered meanwhile is over before it was told.
    return kinds - ANSWERED if asked and asked.is_answered else kinds


def _look_at_freshness(connection: Connection, sealer: Sealer) -> None:
    rules = alert_rulebook.usable(connection, sealer, {Kind.STALE})
    opened = alerts.open_ones(connection, [rule.id for rule in rules])
    for rule in rules:
        for found in examination.freshness(connection, rule.shortcode, rule.limits.minutes or 0):
            is_open = opened.get((rule.id, found.shortcode, None))
            if found.is_stale and is_open is None:
                _raise_stale(connection, sealer, rule, found)
            elif is_open is not None and not found.is_stale:
                alerts.clear(connection, [is_open])


def _raise_stale(connection: Connection, sealer: Sealer, rule: Rule, found: Freshness) -> None:
    alerts.raise_(connection, sealer, rule, shortcode=found.shortcode, since=found.since, detail={})
    logger.warning("alert_raised", rule_id=rule.id, kind=rule.kind, shortcode=found.shortcode)


class _Examination:
    """Holds the rules against a batch of new balances, in one transaction."""

    def __init__(self, connection: Connection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer
        self._rules = alert_rulebook.usable(connection, sealer, OF_ACCOUNTS)
        self._open = alerts.open_ones(connection, [rule.id for rule in self._rules])

    def of(self, new: list[Stored]) -> None:
        """Examine these, in their order."""
        for stored in new:
            rules = [rule for rule in self._rules if rule.concerns(stored.shortcode)]
            if stored.is_late:
                logger.info("late_balance_passed_by", query_id=stored.query_id)
            elif rules:
                self._hold_against(rules, stored)
        query_ids = [stored.query_id for stored in new]
        examination.examined(self._connection, query_ids)
        alerts.clear_answered(self._connection, query_ids)

    def _hold_against(self, rules: list[Rule], stored: Stored) -> None:
        seen = self._opened(stored, tells=True)
        if seen is None:
            return
        earlier = self._before(rules, stored)
        for rule in rules:
            if rule.account is not None and rule.account not in seen.available:
                logger.warning(
                    "account_without_amount",
                    rule_id=rule.id,
                    query_id=stored.query_id,
                    account=rule.account,
                )
            for finding in evaluate(rule, seen, earlier):
                self._follow(rule, stored, finding)

    def _before(self, rules: list[Rule], stored: Stored) -> list[Seen]:
        if not {rule.kind for rule in rules} & {Kind.CHANGE, Kind.DROP}:
            return []
        minutes = max(rule.limits.minutes or 0 for rule in rules)
        found = examination.before(self._connection, stored, minutes)
        return [seen for one in found if (seen := self._opened(one))]

    def _opened(self, stored: Stored, *, tells: bool = False) -> Seen | None:
        try:
            accounts = open_balance(self._sealer, stored.query_id, stored.document)
        except SealBroken as broken:
            # Its text says it all.
            logger.error("sealed_balance_passed_by", query_id=stored.query_id, reason=str(broken))  # noqa: TRY400
            return None
        seen, passed_by = Seen.of(stored.as_of, accounts)
        for reason in passed_by if tells else ():
            logger.warning("account_passed_by", query_id=stored.query_id, reason=reason)
        return seen

    def _follow(self, rule: Rule, stored: Stored, finding: Finding) -> None:
        subject: Subject = (rule.id, stored.shortcode, finding.account)
        if finding.outcome is Outcome.RAISE and subject not in self._open:
            raised = alerts.raise_(
                self._connection,
                self._sealer,
                rule,
                shortcode=stored.shortcode,
                account=finding.account,
                since=stored.as_of,
                query_id=stored.query_id,
                detail=finding.detail,
            )
            if raised is not None:
                self._open[subject] = raised
                logger.warning("alert_raised", alert_id=raised, **_about(rule, subject))
        elif finding.outcome is Outcome.CLEAR and subject in self._open:
            cleared = self._open.pop(subject)
            alerts.clear(self._connection, [cleared])
            logger.info("alert_cleared", alert_id=cleared, **_about(rule, subject))


def _about(rule: Rule, subject: Subject) -> dict[str, object]:
    rule_id, shortcode, account = subject
    return {"rule_id": rule_id, "kind": rule.kind, "shortcode": shortcode, "account": account}
