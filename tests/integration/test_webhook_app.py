"""The application's own faults: what they tell the log, and what they end."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask

from mpesa_balance.callback_urls import CallbackSigner
from mpesa_balance.settings import WebhookSettings
from ops.stack.programs import CHECKOUT
from tests.logged import events
from webhooks.app import create_app


@pytest.fixture
def app(webhook_settings: WebhookSettings) -> Flask:
    return create_app(replace(webhook_settings, unknown_per_minute=1))


def test_a_view_that_fails_tells_the_log_why_and_no_token(
    app: Flask, signer: CallbackSigner, caplog: pytest.LogCaptureFixture
) -> None:
    """Flask's own line names the address, and with it a token that is good."""
    app.extensions["ingress"] = None
    token = signer.token(uuid4())
    answer = app.test_client().post(f"/callbacks/balance/{token}/result", data=b"{}")
    assert (answer.status_code, answer.get_json()["ResultCode"]) == (500, 1)
    (fault,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    (told,) = events(caplog, "view_failed")
    assert told is fault.msg
    assert told["exc_info"] is not None
    assert token not in caplog.text


def test_who_guesses_tokens_fills_no_log_and_others_are_not_counted_with_him(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    def guess(address: str) -> int:
        path = f"/callbacks/balance/{'0' * 64}/result"
        return app.test_client().post(path, data=b"{}", environ_base={"REMOTE_ADDR": address}).status_code

    # The minute of the count may end between two of them, once.
    guessed = [guess("192.0.2.1") for _ in range(9)]
    assert guessed.count(429) >= 7
    caplog.clear()
    assert [guess("192.0.2.1"), guess("192.0.2.2")] in ([429, 404], [404, 404])
    caplog.clear()
    guess("192.0.2.2")
    told = events(caplog, "http_request_refused")
    assert [event for event in told if event["status"] == 429 and event["level"] != "debug"] == []


def test_a_process_that_loses_a_thread_ends(broker_url: str, keys: dict[str, str], tmp_path: Path) -> None:
    """Without its courier it would accept callbacks and pass none on."""
    code = (
        "import signal, threading\n"
        "from webhooks.app import create_server\n"
        "create_server()\n"
        "threading.Thread(target=lambda: 1 / 0).start()\n"
        "signal.pause()\n"
    )
    own = {**keys, "BROKER_URL": broker_url, "SPOOL_DIR": str(tmp_path / "spool")}
    done = subprocess.run(
        (sys.executable, "-c", code),
        env={**os.environ, **own},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == os.EX_SOFTWARE
    (ended,) = [line for line in map(json.loads, done.stderr.splitlines()) if line["level"] == "critical"]
    assert (ended["event"], ended["message"]) == ("thread_failed", "this process ends")
    assert "ZeroDivisionError" in ended["exception"]
