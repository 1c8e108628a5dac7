"""Two hundred shortcodes due at once, on an app that Daraja lets send five requests in a second."""

from collections.abc import Iterator

import pytest
import requests

from mpesa_balance import BalanceClient, line
from mpesa_balance.database import Database
from mpesa_balance.sealing import parse_sealer
from mpesa_balance.settings import DatabaseSettings
from tests.conftest import private_folder
from tests.e2e.running import Stack, running
from tests.e2e.test_scenarios import register
from tests.waiting import eventually

pytestmark = pytest.mark.slow

NUMBERS = [str(number) for number in range(650000, 650200)]

SETTINGS = {"SIMULATOR_REQUESTS_PER_SECOND": "5", "SIMULATOR_CALLBACK_DELAY": "0.2"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with private_folder() as folder, running(folder / "state", environment=SETTINGS) as stack:
        yield stack


def count(database: Database, state: str) -> int:
    with database.transaction() as connection:
        return connection.execute("SELECT FROM balance_queries WHERE state = %s", (state,)).rowcount


def test_all_are_submitted_in_order_and_none_is_refused(stack: Stack) -> None:
    sealer = parse_sealer(stack.env["SEALING_KEYS"])
    database = Database(DatabaseSettings(database_url=stack.env["DATABASE_URL"], sealer=sealer))
    register(database, stack, NUMBERS, rate=5)
    with database.transaction() as connection:
        # Until all of them stand in the line: two workers record them, and each is free to be the first.
        line.hold_back(connection, "played", 3600)
    with BalanceClient(stack.env["BROKER_URL"]) as client:
        for number in NUMBERS:
            client.request_balance(number)
    eventually(lambda: count(database, "pending") == len(NUMBERS), seconds=60)
    with database.transaction() as connection:
        connection.execute("UPDATE daraja_apps SET next_slot_at = now()")
    eventually(lambda: count(database, "completed") == len(NUMBERS), seconds=120)
    simulator = f"{stack.env['DARAJA_URL']}/simulator"
    summary = requests.get(f"{simulator}/ledger/summary", timeout=30).json()
    entries = requests.get(f"{simulator}/ledger?after=0", timeout=30).json()["entries"]
    with database.transaction() as connection:
        asked = connection.execute("SELECT shortcode FROM balance_queries ORDER BY created_at, id")
        in_order = [row["shortcode"] for row in asked]
        attempts = connection.execute("SELECT max(number) AS most FROM submission_attempts").fetchone()
    database.close()
    assert summary["queries"] == {"received": 200, "accepted": 200, "refused": {}}
    assert summary["callbacks"]["delivered"] == 200
    sent = [entry["shortcode"] for entry in entries if entry["kind"] == "query"]
    assert sorted(sent) == sorted(in_order)
    # Who oversleeps his slot comes after those who have theirs already.
    assert all(abs(place - sent.index(number)) <= 10 for place, number in enumerate(in_order))
    assert attempts == {"most": 1}
