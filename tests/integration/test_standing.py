"""How the stores stand: told to Prometheus also while one of them is away, and read by indexes."""

import dataclasses
import re
from typing import Any
from uuid import UUID

import pytest
import redis

from mpesa_balance import apps, breaker, quarantine, standing
from mpesa_balance.settings import BrokerSettings, WorkerSettings
from tests.conftest import open_query
from tests.integration.answers import begin, record, success
from worker import intake
from worker.house import House
from worker.standing import StandingCollector


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(collector: StandingCollector) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        family.name.removeprefix("mpesa_balance_"): {
            tuple(sample.labels.values()): sample.value for sample in family.samples
        }
        for family in collector.collect()
    }


def test_everything_that_waits_is_told_with_its_age(house: House, settings: WorkerSettings) -> None:
    for _ in range(2):
        open_query(house.database)
    record(house, begin(house, open_query(house.database)), success())
    record(house, begin(house, open_query(house.database)), b"not JSON")
    intake.open_request(house, "x", {"shortcode": "?", "reply_to": {"task": "t", "queue": "q"}})
    with house.database.transaction() as connection:
        connection.execute("UPDATE balance_queries SET created_at = created_at - interval '1 hour'")
        connection.execute("UPDATE shortcodes SET credential_set_at = now() - interval '80 days'")
        breaker.suspend(connection, "600000", "a test")
        quarantine.add(connection, house.database.sealer, UUID(int=1), "task", "{}", "reason")
        connection.execute(
            "UPDATE callbacks SET disposition = NULL, reason = NULL WHERE reason IS NOT NULL"
        )
        app = apps.named(connection, house.database.sealer, "app")
    house.tokens.current(app)
    found = told(StandingCollector(settings))
    assert found["database_up"] == found["broker_up"] == {(): 1.0}
    assert found["open_queries"][("pending",)] == 3
    assert 3600 <= found["open_query_oldest_age_seconds"][("pending",)] < 3700
    assert found["open_queries"][("acknowledged",)] == 0
    assert found["outbox_notices"][()] == 2
    assert found["callbacks_unjudged"] == {(): 1.0}
    assert 0 < found["callbacks_unjudged_oldest_age_seconds"][()] < 100
    assert found["inbox_callbacks"] == {("conflict",): 0, ("unmatched",): 0, ("unreadable",): 0}
    assert found["quarantined_tasks"] == {(): 1.0}
    assert found["shortcode_suspended"] == {("600000",): 1.0}
    assert found["shortcode_password_age_seconds"][("600000",)] == pytest.approx(80 * 86_400, abs=100)
    assert ("600000",) in found["shortcode_balance_age_seconds"]
    assert found["app_next_slot_seconds"][("app",)] < 2
    assert 3000 < found["app_token_expiry_seconds"][("app",)] <= 3600


def test_an_empty_house_tells_of_nothing_that_waits(house: House, settings: WorkerSettings) -> None:
    found = told(StandingCollector(settings))
    assert found["open_queries"] == {("pending",): 0, ("acknowledged",): 0}
    assert found["shortcode_balance_age_seconds"] == {}
    # An app that has sent nothing yet may send, and one without a token has none.
    assert found["app_next_slot_seconds"] == found["app_token_expiry_seconds"] == {("app",): 0.0}


def test_without_postgres_or_redis_the_scrape_answers_and_says_so(settings: WorkerSettings) -> None:
    database = dataclasses.replace(settings.database, database_url="postgresql://127.0.0.1:1/none")
    broker = BrokerSettings(broker_url="redis://127.0.0.1:1/0")
    found = told(StandingCollector(dataclasses.replace(settings, database=database, broker=broker)))
    assert found == {"database_up": {(): 0.0}, "broker_up": {(): 0.0}, "app_token_expiry_seconds": {}}


def test_a_postgres_that_holds_a_statement_up_is_told_of_as_down(
    house: House, settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.standing._PATIENCE", 1)
    with house.database.transaction() as connection:
        connection.execute("LOCK TABLE quarantined_tasks")
        assert told(StandingCollector(settings))["database_up"] == {(): 0.0}


def test_who_asks_again_soon_is_told_the_same(house: House, settings: WorkerSettings) -> None:
    clock = Clock()
    collector = StandingCollector(settings, clock)
    assert told(collector)["open_queries"][("pending",)] == 0
    open_query(house.database)
    clock.now = 4.9
    assert told(collector)["open_queries"][("pending",)] == 0
    clock.now = 5.0
    assert told(collector)["open_queries"][("pending",)] == 1


def test_an_app_whose_seal_is_broken_hides_nothing_but_its_token(
    house: House, settings: WorkerSettings
) -> None:
    with house.database.transaction() as connection:
        connection.execute("UPDATE daraja_apps SET consumer_key = 'x'")
    found = told(StandingCollector(settings))
    assert (found["database_up"], found["app_token_expiry_seconds"]) == ({(): 1.0}, {})


def test_nothing_that_is_told_holds_an_amount_a_token_or_a_secret(
    house: House, settings: WorkerSettings, query_id: UUID, store: redis.Redis
) -> None:
    record(house, begin(house, query_id), success())
    with house.database.transaction() as connection:
        house.tokens.current(apps.named(connection, house.database.sealer, "app"))
    text = repr(list(StandingCollector(settings).collect()))
    for secret in ("700000", "token-1", "Pa55word", "'secret'", "'key'", str(query_id)):
        assert secret not in text


#: What has as many rows as there are shortcodes, apps and accidents, and not as there are queries.
SMALL = {"shortcodes", "daraja_apps", "quarantined_tasks"}


@pytest.mark.parametrize("statement", standing.STATEMENTS)
def test_no_statement_reads_a_table_that_grows_without_an_index(house: House, statement: str) -> None:
    with house.database.transaction() as connection:
        # What the planner does with few rows says nothing.
        connection.execute("SET LOCAL enable_seqscan = off")
        (row,) = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}").fetchall()
    nodes = list(plan_nodes(row["QUERY PLAN"][0]["Plan"]))
    for node in nodes:
        if node["Node Type"] == "Seq Scan":
            assert node["Relation Name"] in SMALL
    partial = [node["Index Name"] for node in nodes if "Index Name" in node]
    assert re.search("balance_queries|outbox|replies|callbacks", statement) is None or partial


def plan_nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", ()) for node in plan_nodes(below))]
