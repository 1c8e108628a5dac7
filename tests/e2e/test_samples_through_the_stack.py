"""Documented payloads through every real part: asked at the command line, answered over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import samples
from tests.conftest import private_folder
from tests.e2e.running import Stack, running
from tests.fakes import FakeDaraja, fake_daraja, json_reply


@pytest.fixture(scope="module")
def daraja() -> Iterator[FakeDaraja]:
    with fake_daraja() as fake:
        yield fake


@pytest.fixture(scope="module")
def stack(daraja: FakeDaraja) -> Iterator[Stack]:
    """A stack that asks the fake, which a person registered as he would register Daraja."""
    with private_folder() as folder, running(folder / "state", "--daraja-url", daraja.url) as stack:
        app = ("apps", "add", "fake", "--environment", "sandbox", "--base-url", daraja.url)
        secrets = {"MPESA_CONSUMER_KEY": "key", "MPESA_CONSUMER_SECRET": "secret"}
        assert stack.command(*app, **secrets).returncode == 0
        shortcode = ("shortcodes", "add", "600000", "--app", "fake", "--initiator", "testapi")
        assert stack.command(*shortcode, MPESA_INITIATOR_PASSWORD="Pa55word").returncode == 0
        yield stack


def answer_with(daraja: FakeDaraja, name: str) -> None:
    """Let Daraja acknowledge the next query with the sample's ids and send the sample later."""
    result = samples.document(name)["Result"]
    acknowledgement = samples.document("ack/docs.json")
    ids = {key: result[key] for key in ("OriginatorConversationID", "ConversationID")}
    daraja.replies.append(json_reply(acknowledgement | ids))
    daraja.results.append(samples.payload(name))


@pytest.mark.parametrize("name", samples.of_kind("result", "success/docs-"))
def test_a_documented_success_completes_with_its_accounts(
    stack: Stack, daraja: FakeDaraja, name: str
) -> None:
    expected = samples.EXPECTED[name]
    answer_with(daraja, name)
    answer = stack.query()
    accounts = [{"account": one.pop("name")} | one for one in answer["accounts"]]
    assert (answer["state"], answer["result_code"], answer["late"]) == ("completed", "0", False)
    assert accounts == expected["accounts"]
    assert answer["warnings"] == expected.get("warnings", [])
    assert answer["completed_at"] == expected["completed_at_utc"].replace("Z", "+00:00")


@pytest.mark.parametrize("name", samples.of_kind("result", "failure/docs-"))
def test_a_documented_failure_fails_with_its_code(stack: Stack, daraja: FakeDaraja, name: str) -> None:
    answer_with(daraja, name)
    answer = stack.query()
    assert (answer["state"], answer["accounts"]) == ("failed", [])
    assert answer["result_code"] == samples.EXPECTED[name]["result_code"]


def test_the_documented_acknowledgement_acknowledges(stack: Stack, daraja: FakeDaraja) -> None:
    daraja.replies.append(json_reply(samples.document("ack/docs.json")))
    asked = json.loads(stack.command("query", "600000", "--json").stdout)
    taken = _status_once(stack, asked["request_id"], "acknowledged")
    assert any("515-5258779-3" in event["detail"] for event in taken["timeline"])


def _status_once(stack: Stack, request_id: str, state: str) -> dict[str, object]:
    from tests.fakes import eventually

    def status() -> dict[str, object] | None:
        done = stack.command("status", request_id, "--json")
        found = json.loads(done.stdout) if done.returncode == 0 else {}
        return found if found.get("state") == state else None

    return eventually(status)


def test_the_log_of_the_stack_names_the_query_and_no_amount(stack: Stack, daraja: FakeDaraja) -> None:
    answer_with(daraja, "success/docs-2017-07-28-daraja1.json")
    answer = stack.query()
    assert answer["query_id"] in stack.log
    assert "46713" not in stack.log
    assert "Pa55word" not in stack.log


def test_the_log_is_kept_apart_by_program(stack: Stack) -> None:
    prefixes = {line.split("|")[0].strip() for line in stack.log.splitlines() if " | " in line}
    assert {"callbacks", "submissions"} <= prefixes


def test_files_with_secrets_are_private(stack: Stack) -> None:
    for name in ("stack.env", "secrets.json"):
        assert Path(stack.state_dir / name).stat().st_mode & 0o077 == 0
