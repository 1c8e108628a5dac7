"""Whoever changes an app, a shortcode, a key or what waits for a person is on record with the change."""

import json
import re
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import redis

from mpesa_balance import audit, contract, quarantine
from mpesa_balance.audit import Entry
from mpesa_balance.cli.acting import actor
from mpesa_balance.errors import RequestRefused
from mpesa_balance.sealing import new_key
from tests.conftest import SHORTCODE
from tests.integration.answers import begin, failure, record, row, rows, success
from tests.integration.commanding import command
from tests.integration.queued import arguments, messages
from tests.integration.trail import told, trail
from worker.house import House

#: What may be in no entry: secrets as they are typed, and an amount as a person may write it.
CANARIES = ("canary-key", "canary-secret", "canary-Pa55", "12,345.67")

DONE_BY = "cli:alice ("


@pytest.fixture(autouse=True)
def _secrets(as_alice: pytest.MonkeyPatch) -> None:
    as_alice.setenv("MPESA_CONSUMER_KEY", CANARIES[0])
    as_alice.setenv("MPESA_CONSUMER_SECRET", CANARIES[1])
    as_alice.setenv("MPESA_INITIATOR_PASSWORD", CANARIES[2])


def done(house: House, *arguments: str, exit_code: int = 0) -> list[Entry]:
    """What a command adds, oldest first."""
    before = len(trail(house))
    result = command(*arguments)
    assert result.exit_code == exit_code, result.output
    found = trail(house)
    assert all(entry.actor.startswith(DONE_BY) for entry in found[: len(found) - before])
    stored = str(rows(house, "SELECT a::text FROM audit a"))
    assert not any(canary in stored for canary in CANARIES)
    return found[: len(found) - before][::-1]


def told_of(house: House, *arguments: str, exit_code: int = 0) -> list[tuple[str, str, str]]:
    """The same without who it was: what was done, to whom, and the detail."""
    found = done(house, *arguments, exit_code=exit_code)
    return [(entry.action, entry.subject, entry.detail) for entry in found]


def test_an_app_that_is_added_and_replaced(house: House) -> None:
    add = ("apps", "add", "till", "--environment", "sandbox", "--requests-per-second", "0.25")
    detail = "sandbox, https://sandbox.safaricom.co.ke, 0.2500 requests per second"
    assert told_of(house, *add, "--replace") == [("app_added", "till", detail)]
    assert told_of(house, *add, "--replace") == [("app_replaced", "till", detail)]
    assert told_of(house, *add, exit_code=5) == []


def test_a_shortcode_that_is_added_and_replaced(house: House) -> None:
    add = ("shortcodes", "add", "600001", "--app", "app", "--initiator", "jane")
    detail = "app app, type 4, initiator jane, password given"
    assert told_of(house, *add) == [("shortcode_added", "600001", detail)]
    assert told_of(house, *add, "--replace") == [("shortcode_replaced", "600001", detail)]
    assert told_of(house, *add, exit_code=5) == []


def test_a_shortcode_that_is_suspended_and_resumed(house: House) -> None:
    suspend = ("shortcodes", "suspend", SHORTCODE, "--because", "it had KES 12,345.67 too much")
    detail = "it had KES [amount] too much"
    assert told_of(house, *suspend) == [("shortcode_suspended", SHORTCODE, detail)]
    assert told_of(house, "shortcodes", "resume", SHORTCODE) == [("shortcode_resumed", SHORTCODE, "")]
    assert told_of(house, "shortcodes", "resume", "699999", exit_code=4) == []


def test_the_breaker_suspends_in_its_own_name_and_once(house: House, query_id: UUID) -> None:
    attempt_id = begin(house, query_id)
    for code in ("2001", "8006"):
        record(house, attempt_id, failure(code))
    (entry,) = trail(house, action=audit.Action.SHORTCODE_SUSPENDED)
    assert (told(entry), entry.detail) == (
        (audit.BREAKER, "shortcode_suspended", SHORTCODE),
        "M-PESA said 2001, no",
    )


def test_a_callback_that_is_replayed(house: House, query_id: UUID) -> None:
    record(house, begin(house, query_id), b"<html>")
    record(house, uuid4(), success())
    first, second = (found["id"] for found in rows(house, "SELECT id FROM callbacks ORDER BY id"))
    replay = ("callbacks", "replay", str(first), str(second), "--by", "jane")
    assert told_of(house, *replay, exit_code=3) == [
        ("callback_replayed", f"callback {first}", "unreadable, by jane"),
        ("callback_replayed", f"callback {second}", "unmatched, by jane"),
    ]
    assert told_of(house, "callbacks", "replay", "4711", exit_code=4) == []


def test_a_task_that_is_dropped(house: House) -> None:
    task_id, task = uuid4(), contract.SUBMIT_QUERY
    message = json.dumps({"args": [], "kwargs": {"query_id": CANARIES[1]}})
    with house.database.transaction() as connection:
        quarantine.add(connection, house.database.sealer, task_id, task, message, "it died")
    drop = ("quarantine", "drop", str(task_id))
    assert told_of(house, *drop) == [("task_dropped", str(task_id), task)]
    assert told_of(house, *drop, exit_code=4) == []


def test_keys_that_are_rotated_and_may_be_dropped(
    house: House, query_id: UUID, monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]
) -> None:
    record(house, begin(house, query_id), success())
    fresh = new_key()
    monkeypatch.setenv("SEALING_KEYS", f"fresh:{fresh},{keys['SEALING_KEYS']}")
    monkeypatch.setenv("SPOOL_DIR", str(Path.cwd() / "no spool is here"))
    assert told_of(house, "keys", "drop", "test", exit_code=5) == []
    assert told_of(house, "keys", "rotate") == [
        ("key_rotation_begun", "fresh", ""),
        ("key_rotation_ended", "fresh", "5 rows sealed anew, 0 do not open"),
    ]
    ((action, subject, detail),) = told_of(house, "keys", "drop", "test", exit_code=3)
    assert (action, subject) == ("key_drop_allowed", "test")
    assert detail.startswith("not looked at: ")
    stored = str(rows(house, "SELECT a::text FROM audit a"))
    assert fresh not in stored
    assert keys["SEALING_KEYS"].removeprefix("test:") not in stored


def test_who_asks_at_the_command_line_is_named_as_in_the_rest(house: House, store: redis.Redis) -> None:
    assert command("query", SHORTCODE).exit_code == 0
    (message,) = messages(store, contract.REQUESTS_QUEUE)
    assert arguments(message)["requested_by"] == actor()


def test_an_actor_is_the_systems_user_and_machine_and_a_name_is_added_to_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGNAME", "mallory")
    named = actor()
    monkeypatch.delenv("MPESA_BALANCE_ACTOR")
    user_and_machine = actor().removeprefix("cli:")
    assert re.fullmatch(r"[^@\s]+@\S+", user_and_machine)
    assert "mallory" not in user_and_machine
    assert named == f"cli:alice ({user_and_machine})"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 81])
def test_what_is_no_name_is_refused_before_anything_is_changed(
    house: House, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MPESA_BALANCE_ACTOR", name)
    with pytest.raises(RequestRefused, match="MPESA_BALANCE_ACTOR"):
        actor()
    assert command("shortcodes", "suspend", SHORTCODE).exit_code == 5
    assert row(house, "SELECT suspended_at FROM shortcodes") == {"suspended_at": None}
