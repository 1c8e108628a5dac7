"""`mpesa-balance shortcodes schedule` as a person and as a script use it."""

import json
from typing import Any

import pytest

from tests.e2e.commands import run
from worker.house import House
from worker.scheduling import open_due

pytestmark = pytest.mark.slow


def schedule(environment: dict[str, str], *arguments: str) -> Any:
    done = run(environment, "shortcodes", "schedule", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_schedule_is_added_listed_rests_goes_on_and_is_removed(
    environment: dict[str, str], house: House
) -> None:
    added = schedule(environment, "add", "600000", "--crontab", "0 */6 * * mon-fri")
    number = str(added["id"])
    assert (added["crontab"], added["time_zone"], added["next_due_at"]) == (
        "0 */6 * * mon-fri",
        "Africa/Nairobi",
        None,
    )
    open_due(house)
    (listed,) = schedule(environment, "list", "600000")
    assert listed["next_due_at"]
    shown = run(environment, "shortcodes", "schedule", "list").stdout
    assert "0 */6 * * mon-fri (Africa/Nairobi)" in shown
    assert "EAT" in shown
    assert schedule(environment, "pause", number)["paused_at"]
    assert "rests" in run(environment, "shortcodes", "schedule", "list").stdout
    assert schedule(environment, "resume", number)["paused_at"] is None
    assert "is removed" in run(environment, "shortcodes", "schedule", "remove", number).stdout
    assert schedule(environment, "list") == []
    trail = json.loads(run(environment, "audit", "--subject", "600000", "--json").stdout)
    assert [entry["action"].removeprefix("schedule_") for entry in reversed(trail)] == [
        "added",
        "paused",
        "resumed",
        "removed",
    ]


def test_an_interval_is_written_as_people_do(environment: dict[str, str], house: House) -> None:
    added = schedule(environment, "add", "600000", "--every", "15m", "--spread", "0s")
    assert (added["every_seconds"], added["spread_seconds"]) == (900, 0)
    assert "every 0:15:00" in run(environment, "shortcodes", "schedule", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("600000",), 5, "either a crontab or an interval"),
        (("600000", "--crontab", "61 * * * *", "--time-zone", "Mars"), 5, "there is no time zone 'Mars'"),
        (("600000", "--every", "soon"), 2, "write 90s, 15m, 6h or 1d"),
        (("999999", "--every", "15m"), 4, "is not registered"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    environment: dict[str, str], house: House, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = run(environment, "shortcodes", "schedule", "add", *arguments)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_number_that_no_schedule_has_is_said(environment: dict[str, str], house: House) -> None:
    for what in ("remove", "pause", "resume"):
        done = run(environment, "shortcodes", "schedule", what, "4711")
        assert (done.returncode, "no schedule has the number 4711" in done.stderr) == (4, True)
