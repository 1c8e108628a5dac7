"""Alerts are raised once and cleared once: by balances, their absence, and what the outbox tells of."""

import logging

import psycopg
import pytest

from mpesa_balance import alert_rulebook, alerts, breaker, outbox, shortcodes
from mpesa_balance.alert_rules import Kind
from ops.migrate import MIGRATIONS
from tests.conftest import SHORTCODE, entry_of, open_query
from tests.integration.alerting import (
    WORKING,
    add_channel,
    add_rule,
    listed,
    messages,
    of,
    opened,
    overdue,
    raised,
    seen,
    store,
)
from tests.integration.amounts import says
from tests.integration.answers import begin, failure, record, row, rows, success
from tests.integration.at_once import at_once
from tests.logged import events
from worker import alerting
from worker.house import House
from worker.sweeper import sweep

BELOW = ("below", WORKING)

STORED_BEFORE = """
    INSERT INTO daraja_apps (name, environment, base_url, consumer_key, consumer_secret)
    VALUES ('a', 'sandbox', 'https://x', '', '');
    INSERT INTO shortcodes (shortcode, app, identifier_type, initiator, credential_kind, credential)
    VALUES ('600000', 'a', 4, 'i', 'password', '');
    INSERT INTO balance_queries (id, shortcode, remarks, deadline_at, forced)
    SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, '600000', 'ok', now(), true
    FROM generate_series(1, 2) n;
    INSERT INTO callbacks (attempt_id, kind, digest, payload, received_at)
    VALUES (gen_random_uuid(), 'result', '', '', now());
    INSERT INTO balances (query_id, shortcode, callback_id, document, warnings, as_of)
    SELECT '00000000-0000-0000-0000-000000000001', '600000', id, '', '{}', now() FROM callbacks;
"""
STORED_AFTER = """
    INSERT INTO balances (query_id, shortcode, callback_id, document, warnings, as_of)
    SELECT '00000000-0000-0000-0000-000000000002', '600000', id, '', '{}', now() FROM callbacks;
"""


def failed(house: House, code: str = "1") -> None:
    record(house, begin(house, open_query(house.database)), failure(code))
    sweep(house)


def test_a_balance_below_its_threshold_is_raised_once_and_cleared_once(house: House) -> None:
    add_channel(house, "json://localhost:1/")
    add_rule(house, "below", shortcode=SHORTCODE, account=WORKING, threshold="1000")
    assert seen(house, of("1000.00"), 0) == []
    assert seen(house, of("999.99"), 5) == [BELOW]
    assert seen(house, of("1.00"), 10) == [BELOW]
    rows(house, "UPDATE alert_messages SET delivered_at = now() RETURNING id")
    assert seen(house, of("1000.00"), 15) == []
    assert seen(house, of("5000.00"), 20) == []
    assert messages(house) == [("raised", "delivered"), ("cleared", "waiting")]
    assert len(rows(house, "SELECT FROM alerts")) == 1


def test_between_its_two_limits_an_alert_stays_as_it_is(house: House) -> None:
    add_rule(house, "below", account=WORKING, threshold="1000", clear_at="1500")
    found = [
        seen(house, of(amount), at) for at, amount in enumerate(["1200", "900", "1499", "1500", "1200"])
    ]
    assert found == [[], [BELOW], [BELOW], [], []]


def test_a_balance_above_its_threshold(house: House) -> None:
    add_rule(house, "above", account=WORKING, threshold="1000", clear_at="500")
    found = [seen(house, of(amount), at) for at, amount in enumerate(["1000", "1001", "501", "500"])]
    assert found == [[], [("above", WORKING)], [("above", WORKING)], []]


def test_a_rule_without_an_account_looks_at_each_by_itself(house: House) -> None:
    add_rule(house, "below", threshold="1000")
    assert seen(house, of("1.00", "2.00"), 0) == [("below", "Utility Account"), BELOW]
    assert seen(house, of("1.00", "2000.00"), 5) == [BELOW]


def test_a_rule_of_another_shortcode_looks_at_nothing_here(house: House) -> None:
    with house.database.transaction() as connection:
        shortcodes.add(connection, house.database.sealer, entry_of("600001"))
    add_rule(house, "below", shortcode="600001", threshold="1000")
    assert seen(house, of("1.00")) == []


@pytest.mark.parametrize(
    ("limits", "amounts", "expected"),
    [
        ({"amount": "100"}, ["1000", "900", "1001", "1001"], [False, False, True, False]),
        ({"percent": "10"}, ["1000", "1100", "900", "900"], [False, False, True, False]),
        ({"amount": "500", "percent": "50"}, ["100", "160", "800", "801"], [False, True, True, False]),
        ({"percent": "50"}, ["0", "0", "0.01", "0.01"], [False, False, True, False]),
    ],
)
def test_a_change_is_told_until_a_balance_is_like_the_last_one(
    house: House, limits: dict[str, str], amounts: list[str], expected: list[bool]
) -> None:
    add_rule(house, "change", account=WORKING, **limits)
    found = [bool(seen(house, of(amount), at)) for at, amount in enumerate(amounts)]
    assert found == expected


def test_a_drop_is_measured_from_the_highest_within_the_window(house: House) -> None:
    add_rule(house, "drop", account=WORKING, amount="100", minutes="30")
    steps = [(0, "500"), (10, "460"), (20, "420"), (29, "399"), (40, "361"), (60, "361")]
    found = [bool(seen(house, of(amount), minute)) for minute, amount in steps]
    # At 40 minutes the highest in the window is the 460 of minute 10.
    assert found == [False, False, False, True, False, False]


def test_a_late_result_clears_and_raises_nothing(house: House) -> None:
    add_rule(house, "below", account=WORKING, threshold="1000")
    assert seen(house, of("1.00"), 30) == [BELOW]
    assert seen(house, of("5000.00"), 10) == [BELOW]
    assert seen(house, of("5000.00"), 40) == []
    assert seen(house, of("1.00"), 20) == []


def test_balances_that_came_together_are_looked_at_in_their_order(house: House) -> None:
    add_rule(house, "below", account=WORKING, threshold="1000")
    for minute, amount in ((10, "5000"), (0, "1")):
        store(house, of(amount), minute)
    alerting.examine(house)
    assert opened(house) == []
    (alert,) = listed(house, everything=True)
    assert alert.cleared_at is not None


def test_an_account_without_an_available_amount_is_passed_by_and_said_so_without_amounts(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    add_rule(house, "below", threshold="1000")
    add_rule(house, "below", account="Charges Paid Account", threshold="1000")
    assert seen(house, of(None, "8765.43")) == []
    (passed_by,) = events(caplog, "account_passed_by")
    assert f"account {WORKING!r} has no available amount" in passed_by["reason"]
    (without,) = events(caplog, "account_without_amount")
    assert without["account"] == "Charges Paid Account"
    assert not says("8765", caplog.text)


def test_an_account_that_is_given_twice_is_passed_by(house: House) -> None:
    add_rule(house, "below", threshold="1000")
    assert seen(house, of("1.00", "2.00", names=(WORKING, WORKING))) == []


def test_a_new_rule_holds_for_the_newest_balance_at_once(house: House) -> None:
    store(house, of("1.00"), 0)
    store(house, of("500.00"), 5)
    alerting.examine(house)
    add_rule(house, "below", account=WORKING, threshold="1000")
    alerting.examine(house)
    (alert,) = listed(house)
    assert alert.detail == {"available": "500.00", "currency": "KES"}


def test_a_balance_that_does_not_open_holds_up_no_other(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    add_rule(house, "below", account=WORKING, threshold="1000")
    store(house, of("1.00"), 0)
    rows(house, "UPDATE balances SET document = 'x' RETURNING query_id")
    assert seen(house, of("1.00"), 5) == [BELOW]
    assert any("is not a sealed envelope" in record.getMessage() for record in caplog.records)


def test_a_rule_whose_limits_do_not_open_holds_up_no_other(house: House) -> None:
    broken = add_rule(house, "below", account=WORKING, threshold="1000")
    rows(house, "UPDATE alert_rules SET limits = 'x' WHERE id = %s RETURNING id", broken.id)
    add_rule(house, "above", account=WORKING, threshold="1")
    assert seen(house, of("500")) == [("above", WORKING)]


def test_what_was_stored_before_the_migration_is_not_examined(empty_database_url: str) -> None:
    *earlier, ours = [path.read_text() for path in sorted(MIGRATIONS.glob("*.sql")) if path.name < "0007"]
    assert "examined_at" in ours
    with psycopg.connect(empty_database_url) as connection:
        for migration in (*earlier, STORED_BEFORE, ours):
            connection.execute(migration)  # type: ignore[call-overload]
        connection.execute(STORED_AFTER)
        found = connection.execute("SELECT examined_at IS NULL FROM balances ORDER BY query_id").fetchall()
    assert found == [(False,), (True,)]


def test_of_many_that_examine_at_once_each_alert_is_raised_once(house: House) -> None:
    add_channel(house, "json://localhost:1/")
    add_rule(house, "below", threshold="1000")
    for minute in range(6):
        store(house, of("1.00", "2.00"), minute)
    at_once(lambda _: alerting.examine(house), range(6))
    assert len(opened(house)) == 2
    assert len(messages(house)) == 2


def test_of_many_that_raise_one_alert_at_once_one_does(house: House) -> None:
    rule = add_rule(house, "below", threshold="1000")

    def raise_(_: int) -> bool:
        with house.database.transaction() as connection:
            since = row(house, "SELECT now() AS now")["now"]
            return bool(
                alerts.raise_(
                    connection, house.database.sealer, rule, shortcode=None, since=since, detail={}
                )
            )

    assert sorted(at_once(raise_, range(3))) == [False, False, True]


def test_a_shortcode_without_a_fresh_balance_is_stale_until_one_comes(house: House) -> None:
    add_rule(house, "stale", minutes="30")
    sweep(house)
    assert opened(house) == []
    rows(house, "UPDATE shortcodes SET created_at = now() - interval '31 min' RETURNING shortcode")
    sweep(house)
    sweep(house)
    assert opened(house) == [("stale", None)]
    store(house, of("1.00"))
    rows(house, "UPDATE balances SET as_of = now() - interval '29 min' RETURNING query_id")
    sweep(house)
    assert opened(house) == []
    rows(house, "UPDATE balances SET as_of = now() - interval '31 min' RETURNING query_id")
    sweep(house)
    assert opened(house) == [("stale", None)]


@pytest.mark.parametrize(
    ("code", "kinds"), [("1", ["query_failed"]), ("77", ["query_failed", "unexpected_code"])]
)
def test_a_failed_query_is_raised_once_and_cleared_by_the_next_balance(
    house: House, code: str, kinds: list[str]
) -> None:
    failed(house, code)
    failed(house, code)
    assert [kind for kind, _ in opened(house)] == kinds
    alert = listed(house)[0]
    assert (alert.shortcode, alert.query_id is not None) == (SHORTCODE, True)
    assert "failed by result" in alert.detail["message"]
    assert seen(house, of("1.00")) == []


def test_a_balance_from_before_a_failure_does_not_clear_it(house: House) -> None:
    store(house, of("1.00"))
    failed(house)
    assert opened(house) == [("query_failed", None)]


def test_a_failure_that_was_answered_before_it_was_told_is_not_raised(house: House) -> None:
    record(house, begin(house, open_query(house.database)), failure("1"))
    store(house, of("1.00"))
    sweep(house)
    assert listed(house, everything=True) == []


def test_a_query_that_timed_out_is_cleared_by_its_own_late_result(house: House) -> None:
    attempt_id = begin(house, open_query(house.database))
    overdue(house)
    assert opened(house) == [("query_timed_out", None)]
    record(house, attempt_id, success())
    sweep(house)
    assert opened(house) == []


def test_a_suspended_shortcode_is_cleared_when_it_is_resumed(house: House) -> None:
    failed(house, "2001")
    assert opened(house) == [("query_failed", None), ("shortcode_suspended", None)]
    with house.database.transaction() as connection:
        breaker.resume(connection, SHORTCODE)
    sweep(house)
    assert opened(house) == [("query_failed", None)]


def test_one_that_is_suspended_again_before_anybody_looked_is_told_of_again(house: House) -> None:
    failed(house, "2001")
    with house.database.transaction() as connection:
        breaker.resume(connection, SHORTCODE)
    failed(house, "2001")
    sweep(house)
    assert ("shortcode_suspended", None) in opened(house)
    assert [one.kind for one in listed(house, everything=True)].count("shortcode_suspended") == 2


def test_a_failure_after_a_balance_is_told_of_again_though_nobody_looked_in_between(house: House) -> None:
    failed(house)
    store(house, of("1.00"))
    record(house, begin(house, open_query(house.database)), failure("1"))
    sweep(house)
    assert opened(house) == [("query_failed", None)]
    assert [one.kind for one in listed(house, everything=True)] == ["query_failed"] * 2


@pytest.mark.parametrize(("days", "kind"), [(80, "password_ageing"), (91, "password_expired")])
def test_an_old_password_is_cleared_by_a_new_one(house: House, days: int, kind: str) -> None:
    aged = "UPDATE shortcodes SET credential_set_at = now() - make_interval(days => %s) RETURNING app"
    rows(house, aged, days)
    sweep(house)
    assert opened(house) == [(kind, None)]
    with house.database.transaction() as connection:
        shortcodes.add(connection, house.database.sealer, entry_of(), replace=True)
    sweep(house)
    assert opened(house) == []


@pytest.mark.parametrize(
    "kind", ["callback_conflict", "callback_unmatched", "callback_unreadable", "task_quarantined"]
)
def test_what_waits_for_a_person_is_cleared_by_a_person_only(house: House, kind: str) -> None:
    with house.database.transaction() as connection:
        outbox.add(connection, kind, "look at it")
    sweep(house)
    seen(house, of("1.00"))
    assert opened(house) == [(kind, None)]
    with house.database.transaction() as connection:
        assert alerts.acknowledge(connection, raised(house, kind)["id"], "wanjiru")
    (alert,) = listed(house, everything=True)
    assert (alert.acked_by, alert.cleared_at is not None) == ("wanjiru", True)


def test_other_alerts_are_known_of_and_stay_open(house: House) -> None:
    failed(house)
    alert_id = raised(house, "query_failed")["id"]
    with house.database.transaction() as connection:
        assert not alerts.acknowledge(connection, alert_id, "wanjiru")
        assert not alerts.acknowledge(connection, alert_id, "otieno")
    (alert,) = listed(house)
    assert (alert.acked_by, alert.cleared_at) == ("wanjiru", None)


def test_app_refused_is_cleared_by_the_next_balance(house: House) -> None:
    query_id = open_query(house.database)
    with house.database.transaction() as connection:
        connection.execute("UPDATE balance_queries SET state = 'failed', ended_at = now()")
        outbox.add(connection, outbox.APP_REFUSED, "refused", query_id)
    sweep(house)
    assert opened(house) == [("app_refused", None)]
    assert seen(house, of("1.00")) == []


def test_there_is_a_rule_for_every_event_from_the_beginning(house: House) -> None:
    with house.database.transaction() as connection:
        rules = alert_rulebook.every(connection, house.database.sealer)
    topics = {value for name, value in vars(outbox).items() if name.isupper() and isinstance(value, str)}
    topics -= {value for value in topics if " " in value}
    assert {rule.kind for rule in rules} == topics | {Kind.UNEXPECTED_CODE}


def test_a_removed_rule_raises_nothing_and_what_it_raised_is_over(house: House) -> None:
    rule = add_rule(house, "below", account=WORKING, threshold="1000")
    assert seen(house, of("1.00"), 0) == [BELOW]
    with house.database.transaction() as connection:
        alert_rulebook.remove(connection, rule.id)
    assert opened(house) == []
    assert seen(house, of("1.00"), 5) == []


def test_notices_are_told_of_in_the_log_as_before(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "worker.sweeper")
    failed(house)
    assert any("notice" in record.getMessage() for record in caplog.records)


def test_who_is_not_alone_leaves_balances_to_the_one_who_is(house: House) -> None:
    add_rule(house, "below", account=WORKING, threshold="1000")
    store(house, of("1.00"))
    with house.database.transaction() as connection:
        assert alerts.is_alone(connection)
        assert alerting.examine(house) == 0
    assert alerting.examine(house) == 1
    assert opened(house) == [BELOW]
