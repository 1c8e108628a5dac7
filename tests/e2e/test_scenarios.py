"""What the running system makes of each scenario of the simulator: row by row what the table says."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import requests

from mpesa_balance import BalanceClient, apps, shortcodes
from mpesa_balance.apps import App
from mpesa_balance.database import Database
from mpesa_balance.sealing import parse_sealer
from mpesa_balance.settings import DatabaseSettings
from ops.simulator.scenarios import BY_NAME, SCENARIOS, Scenario
from tests.conftest import entry_of, private_folder
from tests.e2e.running import Stack, running
from tests.waiting import eventually

pytestmark = pytest.mark.slow

#: Short waits, so that what is tried again is tried soon, and a drip is given up on.
SETTINGS = {
    "RETRY_BACKOFF_SECONDS": "1,1,1,1,1,1",
    "QUOTA_BACKOFF_SECONDS": "1",
    "DARAJA_TIMEOUT_SECONDS": "6",
    "SWEEP_INTERVAL_SECONDS": "1",
    # Long enough for one callback to be judged before the next one of its scenario is sent.
    "SIMULATOR_CALLBACK_DELAY": "2",
    "SIMULATOR_CALLBACK_SPREAD": "0",
    "SIMULATOR_LATE_SECONDS": "20",
}


@dataclass
class Played:
    """A stack in which every scenario was asked for once."""

    stack: Stack
    database: Database

    def rows(self, statement: str, shortcode: str) -> list[dict[str, Any]]:
        with self.database.transaction() as connection:
            return [dict(row) for row in connection.execute(statement, {"shortcode": shortcode})]

    def query(self, scenario: Scenario) -> dict[str, Any]:
        """The query that was put to Daraja first; a retry of it is another one."""
        (found,) = self.rows(_FIRST, scenario.number)
        return found

    def dispositions(self, scenario: Scenario) -> tuple[str | None, ...]:
        return tuple(row["disposition"] for row in self.rows(_CALLBACKS, scenario.number))

    def is_over(self, scenario: Scenario) -> bool:
        """Whether it stands as the table says; a scenario that never does is told by its own test."""
        query = self.rows(_FIRST, scenario.number)
        return bool(query) and query[0]["answered"] and self.stands(scenario) == _expected(scenario)

    def stands(self, scenario: Scenario) -> tuple[Any, ...]:
        query = self.query(scenario)
        code = query["result_code"] if scenario.refused_code else None
        return query["state"], query["late"], self.dispositions(scenario), code


def _expected(scenario: Scenario) -> tuple[Any, ...]:
    return scenario.state, scenario.late, scenario.dispositions, scenario.refused_code


_FIRST = """
    SELECT q.id, q.state, q.late, q.result_code,
           (SELECT count(*) > 0 AND bool_and(a.answered_at IS NOT NULL)
            FROM submission_attempts a WHERE a.query_id = q.id) AS answered
    FROM balance_queries q WHERE q.shortcode = %(shortcode)s AND q.retry_of IS NULL
"""

_CALLBACKS = """
    SELECT c.disposition FROM callbacks c JOIN submission_attempts a ON a.id = c.attempt_id
    JOIN balance_queries q ON q.id = a.query_id
    WHERE q.shortcode = %(shortcode)s AND q.retry_of IS NULL ORDER BY c.id
"""


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with private_folder() as folder, running(folder / "state", environment=SETTINGS) as stack:
        sealer = parse_sealer(stack.env["SEALING_KEYS"])
        database = Database(DatabaseSettings(database_url=stack.env["DATABASE_URL"], sealer=sealer))
        register(database, stack, [scenario.number for scenario in SCENARIOS], rate=100)
        with BalanceClient(stack.env["BROKER_URL"]) as client:
            for scenario in SCENARIOS:
                client.request_balance(scenario.number)
        played = Played(stack, database)
        pass_deadline(played, BY_NAME["after-deadline"])
        wait_until_over(played)
        yield played
        database.close()


def register(database: Database, stack: Stack, numbers: list[str], rate: int) -> None:
    """An app of the simulator with this rate, and shortcodes under it."""
    url = stack.env["DARAJA_URL"]
    app = App(
        name="played",
        environment="sandbox",
        base_url=url,
        certificate=requests.get(f"{url}/simulator/certificate", timeout=30).content,
        consumer_key="simulator-key",
        consumer_secret=stack.env["SIMULATOR_CONSUMER_SECRET"],
        requests_per_second=Decimal(rate),
    )
    with database.transaction() as connection:
        apps.add(connection, database.sealer, app)
        for number in numbers:
            entry = entry_of(number, "played", stack.env["SIMULATOR_INITIATOR_PASSWORD"])
            shortcodes.add(connection, database.sealer, entry, replace=True)


def pass_deadline(played: Played, scenario: Scenario) -> None:
    """Let the deadline of this one query pass before its result comes."""
    eventually(lambda: played.rows(_FIRST, scenario.number))
    played.rows(
        "UPDATE balance_queries SET deadline_at = now() + interval '3 s' "
        "WHERE shortcode = %(shortcode)s RETURNING id",
        scenario.number,
    )


def wait_until_over(played: Played) -> None:
    """Wait for the last; what never ends as it should leaves its own test to say so."""
    try:
        eventually(lambda: all(played.is_over(scenario) for scenario in SCENARIOS), seconds=150)
    except AssertionError:
        return


@pytest.mark.parametrize("name", BY_NAME)
def test_the_system_makes_of_a_scenario_what_the_table_says(played: Played, name: str) -> None:
    scenario = BY_NAME[name]
    assert played.stands(scenario) == _expected(scenario)


@pytest.mark.parametrize("name", [name for name, scenario in BY_NAME.items() if scenario.retried])
def test_a_result_that_passes_is_followed_by_a_query_that_completes(played: Played, name: str) -> None:
    def ends() -> list[str]:
        return [row["state"] for row in played.rows(_RETRIES, BY_NAME[name].number)]

    eventually(lambda: ends() == ["completed"], seconds=90)


_RETRIES = """
    SELECT q.state FROM balance_requests r JOIN balance_queries q ON q.id = r.query_id
    WHERE r.shortcode = %(shortcode)s
"""


def test_the_same_bytes_again_are_counted(played: Played) -> None:
    found = played.rows(
        "SELECT c.deliveries FROM callbacks c JOIN submission_attempts a ON a.id = c.attempt_id "
        "JOIN balance_queries q ON q.id = a.query_id WHERE q.shortcode = %(shortcode)s",
        BY_NAME["duplicate"].number,
    )
    assert found == [{"deliveries": 2}]


def test_the_books_balance(played: Played) -> None:
    """What the simulator says that it took and sent is what Postgres holds, one for one."""
    ledger = f"{played.stack.env['DARAJA_URL']}/simulator/ledger/summary"
    summary = eventually(
        lambda: (found := requests.get(ledger, timeout=30).json())["callbacks"]["pending"] == 0 and found,
        seconds=90,
    )
    with played.database.transaction() as connection:
        recorded = connection.execute("SELECT sum(deliveries) AS n FROM callbacks").fetchone()
        sent = connection.execute("SELECT count(*) AS n FROM submission_attempts").fetchone()
    assert recorded is not None
    assert sent is not None
    assert summary["callbacks"]["delivered"] == recorded["n"]
    assert (summary["callbacks"]["lost"], summary["callbacks"]["refused"]) == (0, 0)
    # An attempt whose token was not accepted is sent once more, under the same number.
    tokens = [scenario for scenario in SCENARIOS if "token" in scenario.does.lower()]
    assert summary["queries"]["received"] == sent["n"] + len(tokens)


def test_no_credential_that_was_echoed_is_kept_or_logged(played: Played) -> None:
    with played.database.transaction() as connection:
        attempts = connection.execute(
            "SELECT c.attempt_id, c.kind, c.digest, c.payload FROM callbacks c "
            "JOIN submission_attempts a ON a.id = c.attempt_id "
            "JOIN balance_queries q ON q.id = a.query_id WHERE q.shortcode = %s",
            (BY_NAME["timeout-echo"].number,),
        ).fetchall()
    (kept,) = attempts
    place = f"callbacks/{kept['attempt_id']}/{kept['kind']}/{bytes(kept['digest']).hex()}"
    payload = played.database.sealer.open(bytes(kept["payload"]), place)
    assert b'"SecurityCredential"' in payload
    assert b"[removed]" in payload
    assert played.stack.env["SIMULATOR_INITIATOR_PASSWORD"] not in played.stack.log


def test_the_breaker_keeps_a_wrong_password_from_locking_the_initiator(played: Played) -> None:
    """The simulator locks at the third wrong password in a row, as M-PESA does; it never sees it."""
    add = ("shortcodes", "add", "690000", "--app", "played", "--initiator", "testapi")
    assert played.stack.command(*add, MPESA_INITIATOR_PASSWORD="wrong").returncode == 0
    codes = [played.stack.command("query", "690000", "--wait", "--force").returncode for _ in range(5)]
    assert codes == [3, 5, 5, 5, 5]
    ledger = requests.get(f"{played.stack.env['DARAJA_URL']}/simulator/ledger?after=0", timeout=30).json()
    sent = [entry for entry in ledger["entries"] if entry["kind"] == "query"]
    assert [entry["shortcode"] for entry in sent].count("690000") == 1
    assert played.stack.query("--force")["state"] == "completed"
