"""Codes and the inbox at the command line: what is shown, what a replay says, and the exit codes."""

import json
from uuid import UUID, uuid4

import pytest

from tests.e2e.commands import refusal, run
from tests.integration.answers import begin, failure, record, success
from worker.house import House

pytestmark = pytest.mark.slow


@pytest.fixture
def attempt_id(house: House, query_id: UUID) -> UUID:
    return begin(house, query_id)


def test_a_code_is_explained_with_what_to_do() -> None:
    shown = json.loads(run({}, "explain", "2001", "--json").stdout)
    assert [(row["code"], row["where"]) for row in shown] == [("2001", "result")]
    assert "shortcodes resume" in shown[0]["advice"]
    assert "Spike arrest" in run({}, "explain", "spike").stdout
    assert len(run({}, "explain").stdout.splitlines()) > 50


def test_a_code_that_nobody_knows_says_what_the_system_does_with_it() -> None:
    assert "never retried" in refusal(run({}, "explain", "4711"), 4)


def test_the_inbox_shows_what_waits_and_why(
    environment: dict[str, str], house: House, attempt_id: UUID
) -> None:
    record(house, attempt_id, b"<html>")
    record(house, uuid4(), success())
    table = run(environment, "callbacks", "list").stdout
    assert "unreadable" in table
    assert "unmatched" in table
    listed = json.loads(run(environment, "callbacks", "list", "--only", "unreadable", "--json").stdout)
    assert [(one["kind"], one["shortcode"]) for one in listed] == [("result", "600000")]
    shown = run(environment, "callbacks", "show", str(listed[0]["id"]))
    assert "not JSON" in shown.stdout
    assert run(environment, "callbacks", "show", str(listed[0]["id"]), "--payload").stdout == "<html>"


def test_a_replay_says_what_became_of_each_and_whether_any_was_applied(
    environment: dict[str, str], house: House, attempt_id: UUID
) -> None:
    record(house, attempt_id, b"<html>")
    done = run(environment, "callbacks", "replay", "--only", "unreadable", "--by", "jane", "--json")
    assert done.returncode == 3
    (one,) = json.loads(done.stdout)
    assert one["disposition"] == "unreadable"
    shown = json.loads(run(environment, "callbacks", "show", str(one["id"]), "--json").stdout)
    assert [entry["by"] for entry in shown["replays"]] == ["jane"]


def test_a_replay_of_nothing_says_how_to_name_something(environment: dict[str, str], house: House) -> None:
    assert "--only" in refusal(run(environment, "callbacks", "replay"), 5)
    assert "callbacks list" in refusal(run(environment, "callbacks", "replay", "7"), 4)
    assert "callbacks list" in refusal(run(environment, "callbacks", "show", "7"), 4)


def test_a_query_that_failed_says_what_its_code_means_and_what_to_do(
    environment: dict[str, str], house: House, query_id: UUID, attempt_id: UUID
) -> None:
    record(house, attempt_id, failure("21"))
    shown = run(environment, "status", str(query_id)).stdout
    assert "Balance Query ORG API" in shown
    assert "shortcodes resume" in shown
    document = json.loads(run(environment, "status", str(query_id), "--json").stdout)
    assert document["retryable"] is False
    assert document["meaning"]
    assert document["advice"]
