"""The JSON API does what its description says, for calls that keep to it and for calls that do not."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.schemas import BaseSchema

from mpesa_balance.ids import time_ordered_id
from tests.integration import stocked
from tests.integration.answers import OTHER_BALANCE, rows
from tests.integration.console_desk import Browser, Console

pytestmark = pytest.mark.console

DOCUMENT = "/api/openapi.json"

#: Calls for each operation beyond those at the edges of each rule; all are made again at each run.
EXAMPLES = 10

#: What Schemathesis expects and we do not:
SETTINGS = """
# A request that was taken is known once a worker has taken it from its queue: here runs none.
checks.ensure_resource_availability.enabled = false

# That one instant is before another is a rule that no schema can tell.
[[operations]]
include-path = "/api/v1/balances/{shortcode}/history"
checks.positive_data_acceptance.expected-statuses = ["2xx", "403", "404", "422"]
"""

#: How a call of this kind may be refused, besides all that may be at any call.
MAY_BE_REFUSED = {
    "shortcodes": set(),
    "balances": set(),
    "balance": {"404"},
    "balance_history": {"404", "422"},
    "queries": {"422"},
    "query": {"404"},
    "ask": {"400", "404", "413", "415", "422"},
}
ANY_CALL = {"401", "403", "500", "503"}


@dataclass(frozen=True)
class Described:
    """The API as its description has it, and somebody who may do everything."""

    console: Console
    caller: Browser
    schema: BaseSchema

    @property
    def document(self) -> dict[str, Any]:
        answer = self.caller.session.get(self.console.url + DOCUMENT, timeout=30)
        document: dict[str, Any] = answer.json()
        return document

    def call(self, method: str, path: str, **given: Any) -> Any:
        """A call that must be answered as described."""
        case = self.schema[path][method].Case(**given)
        headers = {"Authorization": str(self.caller.session.headers["Authorization"])}
        return case.call_and_validate(headers=headers).json()


@pytest.fixture
def described(console: Console) -> Described:
    caller = console.programme("alice")
    return Described(console, caller, schemathesis.openapi.from_url(console.url + DOCUMENT))


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from (operation for method, operation in path.items() if method != "parameters")


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """A part of a document and all that is in it."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from parts(inner)


def test_no_call_that_anybody_thinks_of_is_answered_otherwise_than_described(
    described: Described, tmp_path: Path
) -> None:
    house = described.console.house
    for shortcode in ("600000", stocked.add_shortcode(house, "600001")):
        stocked.completed(house, shortcode)
        stocked.failed(house, shortcode)
        stocked.opened(house, shortcode)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    command = (
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", "settings.toml", "run"),
        described.console.url + DOCUMENT,
        *("--header", f"Authorization: {described.caller.session.headers['Authorization']}"),
        *("--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-color"),
    )
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    # A run that has called nothing has found nothing, too.
    assert "Tested: 7" in run.stdout


def test_every_state_of_a_query_is_answered_as_described(described: Described) -> None:
    house = described.console.house
    ids = [stocked.opened(house), stocked.completed(house), stocked.failed(house), stocked.opened(house)]
    rows(
        house,
        "UPDATE balance_queries SET state = 'timed_out', ended_at = now() WHERE id = %s RETURNING id",
        ids[-1],
    )
    ids += [one["id"] for one in rows(house, "SELECT id FROM balance_requests WHERE query_id = %s", ids[1])]
    refused = (
        "INSERT INTO balance_requests (id, shortcode, refusal) VALUES (%s, '600000', 'no') RETURNING id"
    )
    ids += [one["id"] for one in rows(house, refused, time_ordered_id())]
    path = "/api/v1/queries/{query_id}"
    told = [described.call("GET", path, path_parameters={"query_id": str(one)}) for one in ids]
    states = [one["state"] for one in told]
    assert states == ["pending", "completed", "failed", "timed_out", "completed", None]
    listed = described.call("GET", "/api/v1/queries", query={"limit": 3})
    assert len(listed["queries"]) == 3


def test_odd_balances_are_answered_as_described(described: Described) -> None:
    house = described.console.house
    stocked.completed(house, balance="Working Account||-12.5|+0.000001||")
    stocked.completed(house, balance=f"|KES|999999999999999999.99&{OTHER_BALANCE}")
    (newest,) = described.call("GET", "/api/v1/balances")
    assert newest["warnings"]
    given = {"path_parameters": {"shortcode": "600000"}, "query": {"since": "2026-11-01T00:00:00Z"}}
    path = "/api/v1/balances/{shortcode}"
    assert described.call("GET", path, path_parameters={"shortcode": "600000"}) == newest
    assert len(described.call("GET", f"{path}/history", **given)) == 2


def test_the_description_keeps_to_openapi(described: Described) -> None:
    assert described.document["openapi"].startswith("3.1")
    described.schema.validate()


def test_every_refusal_that_can_occur_is_described(described: Described) -> None:
    told = {
        operation["operationId"]: {status for status in operation["responses"] if status >= "400"}
        for operation in operations(described.document)
    }
    assert told == {name: ANY_CALL | more for name, more in MAY_BE_REFUSED.items()}


def test_everything_that_is_given_or_taken_is_explained(described: Described) -> None:
    document = described.document
    for operation in operations(document):
        assert operation["summary"], operation["operationId"]
        assert all(one["description"] for one in operation["responses"].values())
    parameters = [one for part in parts(document["paths"]) for one in part.get("parameters", ())]
    properties = {
        f"{name}.{inner}": one
        for name, schema in document["components"]["schemas"].items()
        for inner, one in schema["properties"].items()
    }
    assert [one["name"] for one in parameters if not one.get("description")] == []
    assert [name for name, one in properties.items() if not one.get("description")] == []


def test_the_description_holds_nothing_that_no_call_uses(described: Described) -> None:
    document = described.document
    used = {part["$ref"] for part in parts(document) if "$ref" in part}
    assert used == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def test_anybody_may_read_the_description(console: Console) -> None:
    assert Browser(console.url).get(DOCUMENT).json()["info"]["title"] == "mpesa-balance"
