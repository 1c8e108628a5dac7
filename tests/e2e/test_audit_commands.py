"""`mpesa-balance audit` as a person and as a script use it."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import SHORTCODE
from tests.e2e.commands import refusal, run
from tests.integration.answers import begin, record, row, success
from worker.house import House
from worker.intake import open_request

pytestmark = pytest.mark.slow


@pytest.fixture
def request_id(house: House) -> UUID:
    """A request of payroll's that has its answer."""
    request_id = uuid4()
    open_request(house, str(request_id), {"shortcode": SHORTCODE, "requested_by": "[payroll]"})
    query_id = row(house, "SELECT query_id FROM balance_requests")["query_id"]
    record(house, begin(house, query_id), success())
    return request_id


def read(environment: dict[str, str], *filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(environment, "audit", "--json", *filters).stdout)
    return found


def test_what_was_asked_seen_and_changed_is_told_newest_first(
    environment: dict[str, str], house: House, request_id: UUID
) -> None:
    alice = environment | {"MPESA_BALANCE_ACTOR": "alice"}
    assert "700,000.00" in run(alice, "status", str(request_id)).stdout
    run(environment, "shortcodes", "suspend", SHORTCODE, "--because", "[audited]")
    found = read(environment)
    assert [one["action"] for one in found] == ["shortcode_suspended", "balance_shown", "asked"]
    assert {one["subject"] for one in found} == {SHORTCODE}
    assert found[1]["actor"] == f"cli:alice ({found[0]['actor'].removeprefix('cli:')})"
    assert found[2]["actor"] == "[payroll]"
    assert found == sorted(found, key=lambda one: str(one["at"]), reverse=True)
    shown = run(environment, "audit").stdout
    assert all(
        text in shown for text in ("EAT", "[payroll]", "balance_shown", "[audited]", str(request_id))
    )
    assert "700,000" not in shown


def test_what_is_told_can_be_narrowed_down(
    environment: dict[str, str], house: House, request_id: UUID
) -> None:
    run(environment, "balances")
    for filters, actions in {
        ("--since", "1h"): ["balance_shown", "asked"],
        ("--since", "2026-01-01", "--actor", "payroll"): ["asked"],
        ("--since", "8999-12-31T23:59"): [],
        ("--action", "balance_shown"): ["balance_shown"],
        ("--subject", str(request_id)): ["asked"],
        ("--subject", SHORTCODE, "--limit", "1"): ["balance_shown"],
        ("--subject", "699999"): [],
    }.items():
        assert [one["action"] for one in read(environment, *filters)] == actions, filters
    assert "Nothing yet." in run(environment, "audit", "--actor", "nobody").stdout


def test_what_is_no_time_or_no_action_is_said(environment: dict[str, str]) -> None:
    for wrong in (("--since", "yesterday"), ("--since", "99999999d"), ("--action", "danced")):
        done = run(environment, "audit", *wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert wrong[1] in done.stderr


def test_a_database_that_is_not_migrated_says_so(
    environment: dict[str, str], empty_database_url: str
) -> None:
    line = refusal(run(environment | {"DATABASE_URL": empty_database_url}, "audit"), 78)
    assert "mpesa-balance migrate" in line
