"""Every sample through every real part: asked by task name, answered over HTTP, read from Postgres.

All are asked at once, each in the name of a shortcode of its own; the tests look at what became of each.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mpesa_balance import BalanceClient, apps, history, shortcodes
from mpesa_balance.answers import BalanceAnswer
from mpesa_balance.apps import App
from mpesa_balance.balances import Account
from mpesa_balance.database import Database
from mpesa_balance.sealing import parse_sealer
from mpesa_balance.settings import DatabaseSettings
from tests import samples
from tests.conftest import entry_of, private_folder
from tests.e2e.running import Stack, running
from tests.fakes import FakeDaraja, Reply, Script, fake_daraja, json_reply
from tests.integration.amounts import says
from tests.waiting import eventually

pytestmark = pytest.mark.slow

ANSWERS = samples.of_kind("ack")
ERRORS = [name for name in samples.of_kind("http") if "oauth" not in name]
TOKENS = [*samples.of_kind("oauth"), "http/empty-400-oauth.json"]
RESULTS = samples.of_kind("result")
TIMEOUTS = samples.of_kind("timeout")
GARBAGE = samples.of_kind("garbage")
ASKED = [*ANSWERS, *ERRORS, *TOKENS, *RESULTS, *TIMEOUTS, *GARBAGE]

#: These are looked at elsewhere: what we send, who may send to us, what we answer.
ELSEWHERE = ("request/", "transport/", "replies/")

#: What is retried waits long enough to be seen waiting.
SETTINGS = {"RETRY_BACKOFF_SECONDS": "300"}


def number(name: str) -> str:
    """The shortcode in whose name a sample is asked for."""
    return str(700000 + ASKED.index(name))


def sampled_reply(name: str) -> Reply:
    sample = samples.document(name)
    return Reply(sample["http_status"], sample["body"].encode(), dict(sample["headers"]))


def acknowledgement(name: str) -> Reply:
    """An acceptance with the one conversation id of a result; the result must bring the other."""
    ids = {"OriginatorConversationID": "", "ConversationID": "AG_ours"}
    if name in RESULTS and not name.startswith("foreign/"):
        ids["ConversationID"] = samples.document(name)["Result"].get("ConversationID", "AG_ours")
    return json_reply(samples.document("ack/docs.json") | ids)


def script(name: str) -> Script:
    kind = samples.EXPECTED[name]["kind"]
    if kind == "ack":
        return Script(deque([json_reply(samples.document(name))]))
    if name in ERRORS:
        # What comes after the error is an acceptance, where the query is sent again at once.
        return Script(deque([sampled_reply(name), json_reply(samples.document("ack/docs.json"))]))
    if kind == "oauth" or name in TOKENS:
        return Script()
    where = "timeout" if kind == "timeout" else "result"
    return Script(deque([acknowledgement(name)]), ((where, samples.payload(name)),))


@dataclass
class Walked:
    """What became of every sample."""

    stack: Stack
    daraja: FakeDaraja
    database: Database

    def row(self, statement: str, name: str) -> dict[str, Any] | None:
        with self.database.transaction() as connection:
            return connection.execute(statement, {"shortcode": number(name)}).fetchone()

    def standing(self, name: str) -> BalanceAnswer:
        """The query that was put to Daraja first; a retry of it is another query."""
        first = "SELECT id FROM balance_queries WHERE shortcode = %(shortcode)s AND retry_of IS NULL"
        found = self.row(first, name)
        assert found is not None
        with self.database.transaction() as connection:
            return history.of_query(connection, self.database.sealer, found["id"])

    def is_over(self, name: str) -> bool:
        """Whether all that was to come has come."""
        found = self.row(_PROGRESS, name)
        return bool(found and found["answered"] and found["settled"] >= len(script(name).callbacks))


_PROGRESS = """
    SELECT coalesce(bool_and(a.state <> 'sending' AND a.answered_at IS NOT NULL), false) AS answered,
           count(c.disposition) AS settled
    FROM balance_queries q JOIN submission_attempts a ON a.query_id = q.id
    LEFT JOIN callbacks c ON c.attempt_id = a.id
    WHERE q.shortcode = %(shortcode)s AND q.retry_of IS NULL
"""


@pytest.fixture(scope="module")
def walked() -> Iterator[Walked]:
    with (
        fake_daraja() as daraja,
        private_folder() as folder,
        running(folder / "state", "--daraja-url", daraja.url, environment=SETTINGS) as stack,
    ):
        sealer = parse_sealer(stack.env["SEALING_KEYS"])
        database = Database(DatabaseSettings(database_url=stack.env["DATABASE_URL"], sealer=sealer))
        for name in ASKED:
            register(database, daraja, name)
        with BalanceClient(stack.env["BROKER_URL"]) as client:
            for name in ASKED:
                client.request_balance(number(name))
        walked = Walked(stack, daraja, database)
        eventually(lambda: all(walked.is_over(name) for name in ASKED), seconds=60)
        yield walked
        database.close()


def register(database: Database, daraja: FakeDaraja, name: str) -> None:
    """A shortcode, a script and an app for one sample."""
    daraja.scripts[number(name)] = script(name)
    app = App(
        name=f"app-{number(name)}",
        environment="sandbox",
        base_url=daraja.url,
        consumer_key=number(name),
        consumer_secret="secret",
    )
    if name.startswith("oauth/success"):
        daraja.token_scripts[number(name)] = json_reply(samples.document(name))
    elif name in TOKENS:
        daraja.token_scripts[number(name)] = sampled_reply(name)
    entry = entry_of(number(name), app.name)
    with database.transaction() as connection:
        apps.add(connection, database.sealer, app)
        shortcodes.add(connection, database.sealer, entry)


def test_every_sample_is_walked() -> None:
    found = {str(path.relative_to(samples.FOLDER)) for path in samples.FOLDER.rglob("*.*")}
    walked = {name for name in found if not name.startswith(ELSEWHERE)}
    assert walked - {"expected.json", "INDEX.md"} == set(ASKED)


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_leaves_exactly_what_is_expected(walked: Walked, name: str) -> None:
    expected, standing = samples.EXPECTED[name], walked.standing(name)
    assert standing.state == expected.get("state", "acknowledged")
    is_move = "state" in expected and expected["state"] != "acknowledged"
    assert standing.result_code == (expected["result_code"] if is_move else None)
    assert [documented(account) for account in standing.accounts] == [
        {key: account[key] for key in sorted(account)} for account in expected.get("accounts", [])
    ]
    at = standing.completed_at and standing.completed_at.isoformat().replace("+00:00", "Z")
    assert at == expected.get("completed_at_utc", at)
    assert expected.get("completed_at_utc") == (at if "completed_at_utc" in expected else None)
    if expected.get("state") == "completed":
        assert list(standing.warnings) == expected.get("warnings", [])


def documented(account: Account) -> dict[str, str | None]:
    document = account.document()
    document["account"] = document.pop("name")
    return {key: document[key] for key in sorted(document)}


@pytest.mark.parametrize("name", [*RESULTS, *TIMEOUTS, *GARBAGE])
def test_a_callback_has_the_disposition_that_is_expected(walked: Walked, name: str) -> None:
    expected = samples.EXPECTED[name]
    moves = expected.get("state") in ("completed", "failed", "timed_out")
    usual = "applied" if moves else "noted" if name.startswith("odd/") else "unreadable"
    found = walked.row(_DISPOSITION, name)
    assert found == {"disposition": expected.get("disposition", usual), "deliveries": 1}


_DISPOSITION = """
    SELECT c.disposition, c.deliveries FROM callbacks c JOIN submission_attempts a ON a.id = c.attempt_id
    JOIN balance_queries q ON q.id = a.query_id WHERE q.shortcode = %(shortcode)s
"""


@pytest.mark.parametrize(
    "name", [name for name in RESULTS if "originator_conversation_id" in samples.EXPECTED[name]]
)
def test_the_ids_of_a_result_are_kept_where_its_acknowledgement_had_none(walked: Walked, name: str) -> None:
    ids = ("originator_conversation_id", "conversation_id")
    assert walked.row(_ATTEMPT, name) == {key: samples.EXPECTED[name][key] for key in ids}


_ATTEMPT = """
    SELECT a.originator_conversation_id, a.conversation_id FROM submission_attempts a
    JOIN balance_queries q ON q.id = a.query_id WHERE q.shortcode = %(shortcode)s
"""


@pytest.mark.parametrize("name", [name for name in RESULTS if "retryable" in samples.EXPECTED[name]])
def test_a_failed_result_is_tried_again_or_not_and_stops_the_shortcode_or_not(
    walked: Walked, name: str
) -> None:
    expected = samples.EXPECTED[name]
    retry = walked.row(_RETRY, name)
    assert retry == ({"state": "pending"} if expected["retryable"] else None)
    locks = expected.get("credential_lock_risk", expected["result_code"] in ("2001", "18", "21"))
    assert is_suspended(walked, name) is locks
    assert walked.standing(name).document()["retryable"] is expected["retryable"]


_RETRY = """
    SELECT state FROM balance_queries WHERE retry_of IS NOT NULL AND shortcode = %(shortcode)s
"""


def is_suspended(walked: Walked, name: str) -> bool:
    found = walked.row("SELECT suspended_because FROM shortcodes WHERE shortcode = %(shortcode)s", name)
    assert found is not None
    return found["suspended_because"] is not None


@pytest.mark.parametrize("name", TIMEOUTS)
def test_a_queue_timeout_of_any_shape_ends_its_query(walked: Walked, name: str) -> None:
    assert walked.standing(name).state == samples.EXPECTED[name]["state"]


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_moves_nothing(walked: Walked, name: str) -> None:
    assert walked.standing(name).state == "acknowledged"


@pytest.mark.parametrize("name", ANSWERS)
def test_an_acknowledgement_leaves_exactly_what_is_expected(walked: Walked, name: str) -> None:
    assert walked.standing(name).state == samples.EXPECTED[name]["state"]


@pytest.mark.parametrize("name", ERRORS)
def test_an_http_error_is_handled_by_its_class(walked: Walked, name: str) -> None:
    expected, standing = samples.EXPECTED[name], walked.standing(name)
    states = {"fail": "failed", "retry_backoff": "pending", "refresh_token_once": "acknowledged"}
    assert standing.state == states[expected["action"]]
    sent = [body for body in walked.daraja.queries if body["PartyA"] == number(name)]
    assert len(sent) == (2 if expected["action"] == "refresh_token_once" else 1)
    assert is_suspended(walked, name) is (expected.get("alert") == "credentials")


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_answer_lets_the_query_go_or_fails_it(walked: Walked, name: str) -> None:
    is_good = name.startswith("oauth/success")
    assert walked.standing(name).state == ("acknowledged" if is_good else "failed")
    told = walked.row(_TOLD, name)
    assert (told is None) is is_good


_TOLD = """
    SELECT o.id FROM outbox o JOIN balance_queries q ON q.id = o.query_id
    WHERE q.shortcode = %(shortcode)s AND o.topic = 'app_refused'
"""


def test_what_is_sent_has_the_fields_of_the_documented_request(walked: Walked) -> None:
    documented_fields = samples.document("request/docs-account-balance.json").keys()
    assert all(body.keys() == documented_fields for body in walked.daraja.queries)


def test_the_command_line_tells_the_same(walked: Walked) -> None:
    name = "success/docs-2017-07-28-daraja1.json"
    shown = json.loads(walked.stack.command("balances", number(name), "--json").stdout)
    assert shown[0]["accounts"] == [
        {"name": account["account"]} | {key: account[key] for key in account if key != "account"}
        for account in samples.EXPECTED[name]["accounts"]
    ]


def test_the_log_names_every_query_and_no_amount_and_no_credential(walked: Walked) -> None:
    with walked.database.transaction() as connection:
        sent = connection.execute("SELECT DISTINCT query_id AS id FROM submission_attempts")
        ids: list[UUID] = [row["id"] for row in sent]
    assert [one for one in ids if str(one) not in walked.stack.log] == []
    assert not says("46713", walked.stack.log)
    for secret in ("11974737", "Pa55word", "SAFVNChNHf", "REDACTED-BASE64"):
        assert secret not in walked.stack.log


def test_the_log_is_kept_apart_by_program(walked: Walked) -> None:
    prefixes = {line.split("|")[0].strip() for line in walked.stack.log.splitlines() if " | " in line}
    assert {"callbacks", "submissions"} <= prefixes


def test_files_with_secrets_are_private(walked: Walked) -> None:
    for name in ("stack.env", "secrets.json"):
        assert Path(walked.stack.state_dir / name).stat().st_mode & 0o077 == 0
