"""Messages about alerts reach real receivers: at least once, late where they must be, and with no more in
them than the channel may have."""

import logging
import time
from collections.abc import Iterator
from datetime import time as clock_time
from datetime import timedelta

import psycopg
import pytest

from mpesa_balance import alert_channels, alert_messages, sending
from mpesa_balance.alert_checks import QuietHours
from mpesa_balance.errors import NotDelivered, NotFound, RequestRefused
from tests.conftest import SHORTCODE, open_query
from tests.integration.alerting import (
    WORKING,
    add_channel,
    add_rule,
    listed,
    messages,
    of,
    overdue,
    seen,
)
from tests.integration.answers import begin, row, rows
from tests.integration.at_once import at_once
from tests.logged import events
from tests.receivers import MailReceiver, WebReceiver, mail_receiver, mute_receiver, web_receiver
from worker.house import House
from worker.telling import deliver

SECRET = "hook-5ecret"


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


def below(house: House, **given: object) -> None:
    add_rule(house, "below", shortcode=SHORTCODE, account=WORKING, threshold="5000.50", **given)


def low(house: House, minute: float = 0) -> None:
    assert seen(house, of("1234.56"), minute)


def high(house: House, minute: float = 5) -> None:
    assert not seen(house, of("6000.00"), minute)


def due(house: House) -> None:
    """What was put off is due, as after the wait."""
    rows(house, "UPDATE alert_messages SET next_attempt_at = now() RETURNING id")


def quiet(house: House, **around: int) -> None:
    """The channel's quiet hours begin and end so many minutes from now, by the database clock."""
    rows(
        house,
        "UPDATE alert_channels SET time_zone = 'Africa/Nairobi', "
        "quiet_from = (now() AT TIME ZONE 'Africa/Nairobi' + make_interval(mins => %s))::time, "
        "quiet_until = (now() AT TIME ZONE 'Africa/Nairobi' + make_interval(mins => %s))::time "
        "RETURNING name",
        around["begins"],
        around["ends"],
    )


def test_a_web_receiver_gets_exactly_what_was_raised_and_cleared(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url)
    below(house)
    low(house)
    deliver(house)
    deliver(house)
    high(house)
    deliver(house)
    deliver(house)
    raised, cleared = web.taken
    (alert,) = listed(house, everything=True)
    assert raised["title"] == f"M-PESA 600000 {WORKING}: the available balance is below its threshold"
    assert raised["type"] == "warning"
    assert "since 2026-11-22 12:00:00 EAT" in raised["message"]
    assert "`mpesa-balance balances 600000`" in raised["message"]
    assert f"`mpesa-balance alerts ack {alert.id}` says that you know of it" in raised["message"]
    assert (
        cleared["title"] == f"M-PESA 600000 {WORKING}: over: the available balance is below its threshold"
    )
    assert cleared["type"] == "success"
    assert "It has been over since" in cleared["message"]
    assert "1234.56" not in str(web.taken)
    assert "1,234.56" not in str(web.taken)


def test_a_mail_server_gets_the_amounts_where_its_channel_has_them(
    house: House, mail: MailReceiver
) -> None:
    add_channel(house, mail.url, with_amounts=True)
    below(house, urgent=True)
    low(house)
    deliver(house)
    (received,) = mail.taken
    assert received["To"] == "oncall@example.co.ke"
    assert received["Subject"] == f"M-PESA 600000 {WORKING}: the available balance is below its threshold"
    body = received.get_body(("plain",))
    assert body is not None
    assert "Available KES 1,234.56, threshold KES 5,000.50." in body.get_content()


def test_a_rule_tells_the_channels_that_it_names_and_another_all(
    house: House, web: WebReceiver, mail: MailReceiver
) -> None:
    add_channel(house, web.url, "web")
    add_channel(house, mail.url, "mail")
    below(house, channels=["mail"])
    low(house)
    deliver(house)
    assert (len(web.taken), len(mail.taken)) == (0, 1)
    begin(house, open_query(house.database))
    overdue(house)
    deliver(house)
    assert (len(web.taken), len(mail.taken)) == (1, 2)
    assert web.taken[0]["title"] == "M-PESA 600000: a balance query timed out"
    assert "nobody answered before the deadline" in web.taken[0]["message"]


def test_a_receiver_that_was_away_is_told_when_it_is_back(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url)
    below(house)
    low(house)
    web.status = 503
    for _ in range(3):
        deliver(house)
    assert len(web.asked) == 1
    waits = "SELECT attempts, extract(epoch FROM next_attempt_at - now())::int AS wait FROM alert_messages"
    first = row(house, waits)
    assert (first["attempts"], first["wait"] <= 10) == (1, True)
    due(house)
    deliver(house)
    second = row(house, waits)
    assert (second["attempts"], 50 <= second["wait"] <= 60) == (2, True)
    web.status = 200
    due(house)
    deliver(house)
    assert (len(web.asked), len(web.taken)) == (3, 1)
    assert messages(house) == [("raised", "delivered")]


def test_a_receiver_that_is_away_is_said_in_the_log_and_the_list_without_its_address(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    add_channel(house, f"json://user:pa55word@127.0.0.1:1/{SECRET}?+X-Token=t0kentoken", with_amounts=True)
    below(house)
    low(house)
    deliver(house)
    (alert,) = listed(house)
    assert "A Connection error occurred sending JSON notification" in alert.failing["people"]
    said = caplog.text + str(alert.failing)
    (put_off,) = events(caplog, "alert_put_off")
    assert put_off["reason"].startswith("A Connection error")
    for secret in (SECRET, "pa55word", "t0kentoken", "1234.56", "1,234.56"):
        assert secret not in said
    # pytest listens to every logger by itself; a program's own handler is the root's.
    assert not logging.getLogger("apprise").propagate
    assert not [record for record in caplog.records if record.name.startswith("urllib3")]


def test_a_message_that_nobody_takes_for_a_day_is_given_up_and_said_so(
    house: House, web: WebReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    assert timedelta(hours=23) < timedelta(seconds=sum(alert_messages.BACKOFF)) <= timedelta(hours=24)
    add_channel(house, web.url)
    below(house)
    low(house)
    web.status = 500
    rows(house, "UPDATE alert_messages SET attempts = %s RETURNING id", len(alert_messages.BACKOFF) - 1)
    deliver(house)
    assert messages(house) == [("raised", "waiting")]
    due(house)
    deliver(house)
    assert messages(house) == [("raised", "given up")]
    assert len(events(caplog, "alert_given_up")) == 1
    due(house)
    deliver(house)
    assert len(web.asked) == 2


def test_one_channel_that_is_away_holds_up_no_other(house: House, web: WebReceiver) -> None:
    add_channel(house, "json://127.0.0.1:1/", "away")
    add_channel(house, web.url, "web")
    rows(house, "UPDATE alert_channels SET url = 'x' WHERE name = 'away' RETURNING name")
    add_channel(house, "json://127.0.0.1:1/", "dead")
    add_rule(house, "below", threshold="5000")
    seen(house, of("1.00", "2.00"))
    deliver(house)
    assert len(web.taken) == 2
    failing = {name: reason for alert in listed(house) for name, reason in alert.failing.items()}
    assert failing.keys() == {"away", "dead"}
    assert "is not a sealed envelope" in failing["away"]


@pytest.mark.slow
def test_a_channel_that_hangs_takes_part_of_a_tasks_time_and_holds_up_no_other(
    house: House, web: WebReceiver
) -> None:
    with mute_receiver() as url:
        # Longer than the deadline of a message.
        add_channel(house, f"{url}?rto=60&cto=60", "mute")
        add_channel(house, web.url, "web")
        add_rule(house, "below", threshold="5000")
        seen(house, of("1.00", "2.00"))
        begun = time.monotonic()
        deliver(house)
        took = time.monotonic() - begun
    assert len(web.taken) == 2
    assert sending.DEADLINE <= took < 40


def test_what_a_worker_was_sending_when_it_ended_is_sent_again(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url)
    below(house)
    low(house)
    with house.database.transaction() as connection:
        assert len(alert_messages.claim(connection)) == 1
    deliver(house)
    assert web.taken == []
    rows(house, "UPDATE alert_messages SET leased_until = now() RETURNING id")
    deliver(house)
    assert len(web.taken) == 1


def test_of_many_that_deliver_at_once_one_sends_a_message(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url)
    add_rule(house, "below", threshold="5000")
    seen(house, of("1.00", "2.00"))
    at_once(lambda _: deliver(house), range(4))
    deliver(house)
    assert len(web.taken) == 2


def test_quiet_hours_put_a_message_off_until_they_end(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url)
    quiet(house, begins=-60, ends=60)
    below(house)
    low(house)
    deliver(house)
    assert (web.asked, messages(house)) == ([], [("raised", "waiting")])
    quiet(house, begins=-60, ends=-1)
    deliver(house)
    assert len(web.taken) == 1


@pytest.mark.parametrize(
    ("begins", "ends", "is_quiet"),
    [(-60, 60, True), (60, 120, False), (-120, -60, False), (1, -1, False), (10, 5, True)],
)
def test_quiet_hours_are_kept_also_past_midnight(
    house: House, web: WebReceiver, begins: int, ends: int, is_quiet: bool
) -> None:
    """Hours that begin soon and end even sooner are all but the next minutes, past midnight."""
    add_channel(house, web.url)
    below(house)
    low(house)
    quiet(house, begins=begins, ends=ends)
    with house.database.transaction() as connection:
        claimed = alert_messages.claim(connection)
    assert (claimed == []) is is_quiet


def test_quiet_hours_are_by_the_channels_own_clocks(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url, quiet=QuietHours(clock_time(0, 0), clock_time(0, 1)))
    below(house)
    low(house)
    zones = rows(house, "SELECT name FROM pg_timezone_names WHERE name LIKE 'Etc/GMT%%' AND name ~ '[+-]'")
    answers = set()
    for zone in zones:
        rows(
            house,
            "UPDATE alert_channels SET time_zone = %s, quiet_from = '00:00', quiet_until = '12:00' "
            "RETURNING name",
            zone["name"],
        )
        with house.database.transaction() as connection:
            answers.add(alert_messages.claim(connection) == [])
        rows(house, "UPDATE alert_messages SET leased_until = '-infinity' RETURNING id")
    assert answers == {True, False}


def test_an_urgent_rule_does_not_wait_for_the_morning(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url)
    quiet(house, begins=-60, ends=60)
    below(house, urgent=True)
    low(house)
    deliver(house)
    assert [message["type"] for message in web.taken] == ["failure"]


def test_what_is_over_before_it_was_told_is_told_to_nobody(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url)
    below(house)
    low(house)
    high(house)
    deliver(house)
    assert (web.asked, messages(house)) == ([], [("raised", "given up")])


def test_a_change_is_told_although_it_is_over(house: House, web: WebReceiver) -> None:
    """Money has moved while the people slept: that the next balance was like it changes nothing."""
    add_channel(house, web.url)
    add_rule(house, "change", account=WORKING, amount="100")
    for minute, amount in enumerate(["1000", "1", "1"]):
        seen(house, of(amount), minute)
    deliver(house)
    (told,) = web.taken
    assert "changed by more than its limit" in told["title"]
    assert "It has been over since" in told["message"]


def test_an_alert_that_is_cleared_while_it_is_told_is_told_to_be_over(
    house: House, web: WebReceiver
) -> None:
    add_channel(house, web.url)
    below(house)
    low(house)
    with house.database.transaction() as connection:
        (message,) = alert_messages.claim(connection)
    high(house)
    with house.database.transaction() as connection:
        alert_messages.delivered(connection, message)
    assert messages(house) == [("raised", "delivered"), ("cleared", "waiting")]


def test_a_removed_channel_is_told_nothing_more(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url)
    below(house)
    low(house)
    with house.database.transaction() as connection:
        alert_channels.remove(connection, "people")
    deliver(house)
    assert (web.asked, messages(house)) == ([], [("raised", "given up")])
    with pytest.raises(NotFound), house.database.transaction() as connection:
        alert_channels.remove(connection, "people")


def test_a_channel_that_rules_name_stays(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url)
    below(house, channels=["people"])
    with pytest.raises(RequestRefused, match="named by rules"), house.database.transaction() as connection:
        alert_channels.remove(connection, "people")


def test_no_table_shows_an_amount_or_an_address(house: House, web: WebReceiver) -> None:
    add_channel(house, web.url, with_amounts=True)
    add_rule(house, "change", amount="77.77", percent="5")
    below(house)
    high(house, 0)
    low(house, 5)
    deliver(house)
    dump = ""
    with psycopg.connect(house.settings.database.database_url) as connection:
        for table in ("alert_channels", "alert_rules", "alerts", "alert_messages", "balances"):
            found = connection.execute(f"SELECT t::text FROM {table} t").fetchall()  # type: ignore[arg-type]
            assert found
            dump += str(found)
    for secret in (SECRET, "1234.56", "5000.50", "77.77", "6000.00"):
        assert secret not in dump
        assert secret.encode().hex() not in dump


def test_a_reason_repeats_nothing_of_the_address(web: WebReceiver) -> None:
    web.status = 403
    with pytest.raises(NotDelivered) as refused:
        sending.send(web.url, "title", "body")
    assert "error=403" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("url", ["hello", "nonsense://x", "json://", "slack://a", "json://a json://b", ""])
def test_what_is_no_address_of_a_channel_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(RequestRefused, match=r"ops/docs/alerts\.md") as refused:
        sending.check_url(url)
    assert not url or url not in str(refused.value)
