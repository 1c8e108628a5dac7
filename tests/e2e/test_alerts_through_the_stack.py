"""From a balance of the simulated M-PESA to a message at a receiver, through the running system."""

import json

import pytest

from tests.conftest import private_folder
from tests.e2e.running import running
from tests.receivers import web_receiver
from tests.waiting import eventually

pytestmark = pytest.mark.slow


def test_a_balance_below_its_threshold_and_its_end_are_told_once_each() -> None:
    settings = {"SIMULATOR_CALLBACK_DELAY": "0", "LOG_LEVEL": "DEBUG"}
    with (
        web_receiver() as web,
        private_folder() as folder,
        running(folder / "state", environment=settings) as stack,
    ):
        assert stack.command("alerts", "channels", "add", "web", MPESA_ALERT_URL=web.url).returncode == 0
        rule = (
            "alerts",
            "rules",
            "add",
            "below",
            "--account",
            "Working Account",
            "--below",
            "7654321987.65",
        )
        number = json.loads(stack.command(*rule, "--json").stdout)["id"]
        assert stack.query()["state"] == "completed"
        (raised,) = eventually(lambda: web.taken, seconds=60)
        assert "below its threshold" in raised["title"]
        (alert,) = json.loads(stack.command("alerts", "list", "--json").stdout)
        assert stack.command("alerts", "rules", "remove", str(number)).returncode == 0
        _, over = eventually(lambda: len(web.taken) > 1 and web.taken, seconds=60)
        assert ": over: " in over["title"]
        assert alert["id"] in raised["message"]
        assert alert["id"] in over["message"]
        assert len(web.asked) == 2
        assert stack.interrupt() == 0
        assert "alert_sent" in stack.log
        for secret in ("hook-5ecret", "7654321987", alert["detail"]["available"]):
            assert secret not in stack.log
