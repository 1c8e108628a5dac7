"""What balances mean to rules for alerts, for any amounts; and what may be a rule at all."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.alert_checks import MOST_MINUTES, read_quiet_hours, read_rule
from mpesa_balance.alert_rules import Kind, Limits, Outcome, Rule, Seen, evaluate, outcome_of
from mpesa_balance.balances import Account
from mpesa_balance.errors import RequestRefused

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

amounts = st.decimals(min_value=0, max_value=10**12, places=2, allow_nan=False, allow_infinity=False)
positive = amounts.filter(bool)


def rule(kind: Kind, account: str | None = "A", **limits: Decimal | int | None) -> Rule:
    return Rule(id=1, kind=kind, account=account, limits=Limits(**limits))  # type: ignore[arg-type]


def at(minute: float, **available: Decimal) -> Seen:
    return Seen(
        as_of=NOON + timedelta(minutes=minute),
        available=available,
        currencies=dict.fromkeys(available, "KES"),
    )


def outcome(of: Rule, new: Seen, *earlier: Seen) -> Outcome:
    (finding,) = evaluate(of, new, earlier)
    return finding.outcome


@given(amounts, amounts, amounts)
def test_below_is_raised_below_one_limit_cleared_from_the_other_and_kept_between(
    threshold: Decimal, further: Decimal, available: Decimal
) -> None:
    clear_at = threshold + further
    found = outcome_of(rule(Kind.BELOW, threshold=threshold, clear_at=clear_at), available)
    if available < threshold:
        assert found is Outcome.RAISE
    elif available >= clear_at:
        assert found is Outcome.CLEAR
    else:
        assert found is Outcome.KEEP


@given(amounts, amounts, amounts)
def test_above_is_below_with_all_signs_turned(
    threshold: Decimal, clear_at: Decimal, available: Decimal
) -> None:
    above = outcome_of(rule(Kind.ABOVE, threshold=threshold, clear_at=clear_at), available)
    below = outcome_of(rule(Kind.BELOW, threshold=-threshold, clear_at=-clear_at), -available)
    assert above is below


@given(amounts, amounts)
def test_without_a_second_limit_nothing_is_kept(threshold: Decimal, available: Decimal) -> None:
    for kind in (Kind.BELOW, Kind.ABOVE):
        assert outcome_of(rule(kind, threshold=threshold), available) is not Outcome.KEEP


@given(amounts, amounts, positive)
def test_a_change_is_the_same_in_either_direction(one: Decimal, other: Decimal, amount: Decimal) -> None:
    change = rule(Kind.CHANGE, amount=amount)
    there, back = (
        outcome(change, at(5, A=one), at(0, A=other)),
        outcome(change, at(5, A=other), at(0, A=one)),
    )
    assert there is back
    assert (there is Outcome.RAISE) is (abs(one - other) > amount)


@given(amounts, amounts, st.integers(1, 500))
def test_a_percentage_is_of_what_was_there_before(before: Decimal, now: Decimal, percent: int) -> None:
    found = outcome(rule(Kind.CHANGE, percent=Decimal(percent)), at(5, A=now), at(0, A=before))
    if before:
        assert (found is Outcome.RAISE) is (abs(now - before) / before * 100 > percent)
    else:
        assert (found is Outcome.RAISE) is (now > 0)


@given(st.lists(st.tuples(st.integers(1, 120), amounts), max_size=8), amounts, positive)
def test_a_drop_is_measured_from_the_highest_of_the_window(
    past: list[tuple[int, Decimal]], now: Decimal, amount: Decimal
) -> None:
    earlier = [at(-minutes, A=available) for minutes, available in sorted(past)]
    found = outcome(rule(Kind.DROP, amount=amount, minutes=60), at(0, A=now), *earlier)
    window = [available for minutes, available in past if minutes <= 60]
    assert (found is Outcome.RAISE) is (bool(window) and max(window) - now > amount)


@given(amounts)
def test_a_first_balance_is_neither_a_change_nor_a_drop(now: Decimal) -> None:
    for kind in (Kind.CHANGE, Kind.DROP):
        assert outcome(rule(kind, amount=Decimal(1), minutes=5), at(0, A=now)) is Outcome.CLEAR


def test_a_change_is_of_the_last_balance_although_it_had_no_such_account() -> None:
    change = rule(Kind.CHANGE, amount=Decimal(1))
    assert outcome(change, at(5, A=Decimal(9)), at(0, B=Decimal(1)), at(-5, A=Decimal(1))) is Outcome.CLEAR


def test_a_rule_of_one_account_says_nothing_of_others_and_nothing_where_it_is_missing() -> None:
    below = rule(Kind.BELOW, threshold=Decimal(5))
    assert evaluate(below, at(0, B=Decimal(1)), []) == []
    every = rule(Kind.BELOW, account=None, threshold=Decimal(5))
    found = evaluate(every, at(0, B=Decimal(1), A=Decimal(9)), [])
    assert [(one.account, one.outcome) for one in found] == [("A", Outcome.CLEAR), ("B", Outcome.RAISE)]


def test_accounts_that_cannot_be_compared_are_passed_by_with_a_reason_and_no_amount() -> None:
    accounts = [
        Account("A", "KES", available=Decimal("77.77")),
        Account("B", "KES", current=Decimal("88.88")),
        Account("C", None, available=Decimal("99.99")),
        Account("C", None, available=Decimal("66.66")),
    ]
    seen, passed_by = Seen.of(NOON, accounts)
    assert seen.available == {"A": Decimal("77.77")}
    assert passed_by == ["account 'B' has no available amount", "account 'C' is given more than once"]
    assert "77.77" not in repr(seen)
    (finding,) = evaluate(rule(Kind.BELOW, threshold=Decimal(100)), seen, [])
    assert "77.77" not in repr(finding)


@given(
    st.builds(
        Limits, threshold=amounts, percent=st.none() | positive, minutes=st.none() | st.integers(1, 9)
    )
)
def test_limits_are_read_as_they_were_written(limits: Limits) -> None:
    import json

    assert Limits.from_json(json.dumps(limits.document())) == limits
    assert str(limits.threshold) not in repr(limits)


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_whatever_is_typed_is_read_or_said_to_be_wrong(
    kind: str, threshold: str, minutes: str, account: str
) -> None:
    for tried in (kind, *Kind):
        limits = {"threshold": threshold, "minutes": minutes, "percent": threshold}
        _, read, wrong = read_rule(tried, None, account, limits)
        assert wrong
        assert read.minutes is None or 1 <= read.minutes <= MOST_MINUTES
    _, read, wrong = read_rule("below", None, None, {"threshold": threshold})
    assert wrong or read.threshold == Decimal(threshold)


@pytest.mark.parametrize(
    "text", ["", "22:00", "22:00-24:00", "2:00-6:00", "22:00-22:00", "22:00 - 06:00", "٢٢:00-06:00"]
)
def test_quiet_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(RequestRefused, match="22:00-06:00"):
        read_quiet_hours(text)


def test_quiet_hours_are_read() -> None:
    hours = read_quiet_hours("22:30-06:00")
    assert hours is not None
    assert (f"{hours.begins:%H:%M}", f"{hours.ends:%H:%M}") == ("22:30", "06:00")
    assert read_quiet_hours(None) is None
