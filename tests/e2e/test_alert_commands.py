"""`mpesa-balance alerts` as a person and as a script use it."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import SHORTCODE
from tests.e2e.commands import refusal, run
from tests.integration.alerting import WORKING, of, seen
from tests.integration.answers import row, rows
from tests.receivers import WebReceiver, web_receiver
from worker.house import House
from worker.telling import deliver

pytestmark = pytest.mark.slow

RULES = ("alerts", "rules")
CHANNELS = ("alerts", "channels")


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def with_web(environment: dict[str, str], house: House, web: WebReceiver) -> dict[str, str]:
    """Settings of an installation with the channel `web`."""
    done = run(environment | {"MPESA_ALERT_URL": web.url}, *CHANNELS, "add", "web")
    assert done.returncode == 0, done.stderr
    return environment


def test_from_a_rule_to_a_message_to_an_acknowledgement(
    with_web: dict[str, str], house: House, web: WebReceiver
) -> None:
    limits = ("--below", "1000", "--clear-at", "1500.50")
    add = (
        *RULES,
        "add",
        "below",
        "--shortcode",
        SHORTCODE,
        "--account",
        WORKING,
        *limits,
        "--channel",
        "web",
    )
    rule = json.loads(run(with_web, *add, "--json").stdout)
    assert rule["limits"] == {"threshold": "1000", "clear_at": "1500.50"}
    seen(house, of("12.34"))
    deliver(house)
    assert [message["type"] for message in web.taken] == ["warning"]
    (alert,) = json.loads(run(with_web, "alerts", "list", "--json").stdout)
    assert (alert["kind"], alert["detail"]["available"], alert["rule"]) == ("below", "12.34", rule["id"])
    shown = " ".join(run(with_web, "alerts", "list").stdout.split())
    assert "12.34" in shown
    done = run(with_web, "alerts", "ack", alert["id"], "--by", "wanjiru", "--json")
    assert json.loads(done.stdout) == {"id": alert["id"], "acked_by": "wanjiru", "is_over": False}
    assert run(with_web, *RULES, "remove", str(rule["id"])).returncode == 0
    assert json.loads(run(with_web, "alerts", "list", "--json").stdout) == []
    (over,) = json.loads(run(with_web, "alerts", "list", "--all", "--json").stdout)
    assert (over["acked_by"], over["cleared_at"] is not None) == ("wanjiru", True)
    assert run(with_web, *CHANNELS, "remove", "web").returncode == 0
    of_shortcode = json.loads(run(with_web, "audit", "--subject", SHORTCODE, "--json").stdout)
    assert "alert_rule_removed" in [entry["action"] for entry in of_shortcode]
    trail = [entry["action"] for entry in json.loads(run(with_web, "audit", "--json").stdout)]
    assert [action for action in reversed(trail) if action not in ("asked", "alert_channel_added")] == [
        "alert_rule_added",
        "balance_shown",
        "balance_shown",
        "alert_acknowledged",
        "alert_rule_removed",
        "balance_shown",
        "alert_channel_removed",
    ]


def test_a_channel_can_be_tried_and_says_what_went_wrong(
    with_web: dict[str, str], web: WebReceiver
) -> None:
    assert run(with_web, "alerts", "test", "web").returncode == 0
    (message,) = web.taken
    assert "test of this channel" in message["title"]
    web.status = 403
    line = refusal(run(with_web, "alerts", "test", "web"), 1)
    assert "error=403" in line
    assert "hook-5ecret" not in line
    assert "alerts channels list" in refusal(run(with_web, "alerts", "test", "nobody"), 4)


def test_a_channels_url_comes_from_a_file_and_is_shown_nowhere(
    environment: dict[str, str], house: House, web: WebReceiver, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(web.url + "\n")
    options = (f"--url-file={tmp_path / 'url'}", "--with-amounts", "--quiet", "22:00-06:00")
    done = run(environment, *CHANNELS, "add", "night", *options, "--json")
    assert json.loads(done.stdout) == {
        "name": "night",
        "service": "json",
        "with_amounts": True,
        "quiet": "22:00-06:00",
        "time_zone": "Africa/Nairobi",
    }
    shown = run(environment, *CHANNELS, "list")
    assert "22:00-06:00" in shown.stdout
    assert "hook-5ecret" not in shown.stdout + done.stdout
    assert b"hook-5ecret" not in bytes(row(house, "SELECT url FROM alert_channels")["url"])
    again = run(environment | {"MPESA_ALERT_URL": web.url}, *CHANNELS, "add", "night")
    assert "--replace" in refusal(again, 5)
    assert (
        run(environment | {"MPESA_ALERT_URL": web.url}, *CHANNELS, "add", "night", "--replace").returncode
        == 0
    )


def test_everything_that_is_wrong_with_a_channel_is_said_at_once(
    environment: dict[str, str], house: House
) -> None:
    url = {"MPESA_ALERT_URL": "nonsense://t0kentoken"}
    wrong = ("Night Shift", "--quiet", "10-11", "--time-zone", "Nairobi")
    line = refusal(run(environment | url, *CHANNELS, "add", *wrong), 5)
    for problem in (
        "none that apprise reads",
        "22:00-06:00",
        "lowercase letters",
        "no time zone 'Nairobi'",
    ):
        assert problem in line
    assert "t0kentoken" not in line
    assert "Apprise URL is empty" in refusal(run(environment, *CHANNELS, "add", "night"), 5)


def test_everything_that_is_wrong_with_a_rule_is_said_at_once(
    environment: dict[str, str], house: House
) -> None:
    line = refusal(
        run(
            environment,
            *(*RULES, "add", "below", "--shortcode", "999999", "--account", WORKING, "--channel", "nobody"),
            *("--below", "1,000", "--minutes", "0", "--percent", "5"),
        ),
        5,
    )
    for problem in (
        "--threshold must be a number",
        "--minutes must be whole minutes",
        "--percent means nothing to a rule of kind below",
        "shortcode 999999 is not registered",
        "there is no channel nobody",
    ):
        assert problem in line
    line = refusal(run(environment, *RULES, "add", "balance", "--shortcode", "x"), 5)
    assert "'balance' is no kind of rule: use below, above, change" in line
    assert "5 to 12 digits" in line


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("below",), "needs --threshold"),
        (("change",), "needs --amount or --percent"),
        (("drop", "--amount", "5"), "needs --minutes"),
        (("stale", "--minutes", "5", "--account", "x"), "--account means nothing"),
        (("below", "--below", "10", "--clear-at", "5"), "--clear-at must not be below --threshold"),
        (("above", "--threshold", "10", "--clear-at", "15"), "--clear-at must not be above --threshold"),
        (("task_quarantined", "--shortcode", SHORTCODE), "--shortcode means nothing"),
    ],
)
def test_a_rule_that_could_mean_nothing_is_refused(
    environment: dict[str, str], house: House, arguments: tuple[str, ...], problem: str
) -> None:
    assert problem in refusal(run(environment, *RULES, "add", *arguments), 5)


def test_the_rules_for_events_are_listed_from_the_beginning(
    environment: dict[str, str], house: House
) -> None:
    listed = json.loads(run(environment, *RULES, "list", "--json").stdout)
    assert {"query_failed", "task_quarantined"} <= {rule["kind"] for rule in listed}
    assert "shortcode_suspended" in run(environment, *RULES, "list").stdout


def test_what_is_not_there_is_said(environment: dict[str, str], house: House) -> None:
    assert "alerts list --all" in refusal(run(environment, "alerts", "ack", str(uuid4())), 4)
    assert "alerts rules list" in refusal(run(environment, *RULES, "remove", "999"), 4)
    assert "alerts channels list" in refusal(run(environment, *CHANNELS, "remove", "nobody"), 4)
    assert rows(house, "SELECT FROM alerts") == []
