"""The rules and the dashboard: every expression parses, asks for what we tell, and has its runbook."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import promql_parser
import pytest
from ruamel.yaml import YAML

from mpesa_balance.alert_rules import Kind
from mpesa_balance.cli.main import main
from mpesa_balance.passwords import PASSWORD_LIFETIME_DAYS, PASSWORD_WARNING_DAYS
from ops.stack.programs import EXPOSING
from tests.exposed import series

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "ops" / "prometheus"
RUNBOOK = (ROOT / "ops" / "runbook.md").read_text()
CONFIGURATION: dict[str, Any] = YAML(typ="safe").load(FOLDER / "prometheus.yml")
RULES: list[dict[str, Any]] = [
    rule for group in YAML(typ="safe").load(FOLDER / "rules.yml")["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [*((rule["alert"], rule["expr"]) for rule in RULES), *TARGETS]
JOBS = {job["job_name"] for job in CONFIGURATION["scrape_configs"]}

#: What every scrape has beside what is scraped.
ATTACHED = {"job", "instance", "worker"}


def parsed(expression: str) -> Any:
    """The expression, with what Grafana puts in for its own names."""
    return promql_parser.parse(expression.replace("$__rate_interval", "1m").replace("$shortcode", ".*"))


def parts(node: Any) -> Iterator[Any]:
    """Every expression in an expression."""
    yield node
    for name in ("lhs", "rhs", "expr", "param"):
        if (below := getattr(node, name, None)) is not None:
            yield from parts(below)
    for below in getattr(node, "args", ()):
        yield from parts(below)
    if (selector := getattr(node, "vector_selector", None)) is not None:
        yield selector


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    return [node for node in parts(parsed(expression)) if isinstance(node, promql_parser.VectorSelector)]


def groupings(expression: str) -> list[set[str]]:
    """The labels that each aggregation keeps."""
    found = [node for node in parts(parsed(expression)) if isinstance(node, promql_parser.AggregateExpr)]
    return [set(node.modifier.labels) for node in found if node.modifier is not None]


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_an_expression_asks_for_series_and_labels_that_our_programs_tell(
    title: str, expression: str
) -> None:
    told = series() | {"up": {"job"}}
    asked = selectors(expression)
    assert asked
    for selector in asked:
        names = {matcher.name for matcher in selector.matchers.matchers}
        assert names <= told[selector.name] | ATTACHED
    labels = set.union(*(told[selector.name] for selector in asked)) | ATTACHED
    for grouping in groupings(expression):
        assert grouping <= labels


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_what_every_worker_tells_of_the_stores_is_asked_for_once(title: str, expression: str) -> None:
    """A sum over the workers would be as many times too much as there are workers."""
    greatest = [
        node.expr
        for node in parts(parsed(expression))
        if isinstance(node, promql_parser.AggregateExpr) and str(node.op) == "max"
    ]
    once = {node.name for node in greatest if isinstance(node, promql_parser.VectorSelector)}
    asked = {selector.name for selector in selectors(expression)}
    assert {name for name in asked if told_by_every_worker(name)} <= once


def told_by_every_worker(name: str) -> bool:
    return not re.search(r"_(total|bucket|count|sum)$|_spool_", name) and name.startswith("mpesa_balance_")


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_only_a_rate_or_an_increase_is_made_of_what_only_grows(title: str, expression: str) -> None:
    for selector in selectors(expression):
        if re.search(r"_(total|bucket|count|sum)$", selector.name):
            assert re.search(rf"(rate|increase)\(\s*{selector.name}", expression)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_its_runbook_is(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"runbook.md#{rule['alert'].lower()}"
    # Only what the expression leaves can be filled in.
    kept = set.union(*groupings(rule["expr"]), ATTACHED)
    named = re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
    assert set(named) <= kept


def test_the_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    alerts = [rule["alert"] for rule in RULES]
    assert len(alerts) == len(set(alerts))
    assert re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE) == [*sorted(alerts), *map(str, Kind)]


@pytest.mark.parametrize("alert", [*(str(rule["alert"]) for rule in RULES), *map(str, Kind)])
def test_a_section_of_the_runbook_says_what_is_seen_what_it_means_and_what_to_type(alert: str) -> None:
    section = RUNBOOK.split(f"## {alert}\n")[1].split("\n## ")[0]
    seen, means, typed = (section.find(f"**{word}.**") for word in ("See", "Means", "Type"))
    assert -1 < seen < means < typed
    assert "`" in section[typed:]


def test_every_command_in_the_runbook_is_one_that_can_be_typed() -> None:
    typed = re.findall(r"mpesa-balance ((?:[a-z]+ ?)+)((?:[^`]|\n)*?)`", RUNBOOK)
    assert len(typed) > 20
    for words, rest in typed:
        command: click.Command = main
        for word in words.split():
            if isinstance(command, click.Group):
                command = command.commands[word]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, (words, rest)


def test_the_thresholds_of_passwords_are_those_of_the_library() -> None:
    days = {
        rule["alert"]: int(re.findall(r"> (\d+)$", rule["expr"])[0])
        for rule in RULES
        if rule["alert"].startswith("Password")
    }
    assert days == {"PasswordAgeing": PASSWORD_WARNING_DAYS, "PasswordExpired": PASSWORD_LIFETIME_DAYS}


def test_the_rules_know_the_jobs_of_the_example() -> None:
    asked = {
        matcher.value
        for _, expression in EXPRESSIONS
        for selector in selectors(expression)
        for matcher in selector.matchers.matchers
        if matcher.name == "job"
    }
    assert asked == JOBS
    assert CONFIGURATION["rule_files"] == ["rules.yml"]


def test_the_example_scrapes_every_program_where_the_compose_file_has_it() -> None:
    compose = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    targets = {
        target
        for job in CONFIGURATION["scrape_configs"]
        for config in job["static_configs"]
        for target in config["targets"]
    }
    assert {urlsplit(f"//{target}").hostname for target in targets} == set(EXPOSING)
    for target in targets:
        name, _, port = target.partition(":")
        environment = compose["services"][name]["environment"]
        assert environment["METRICS_PORT"] == f"${{METRICS_PORT:-{port}}}"
        assert "inside" in compose["services"][name]["networks"]


def test_the_dashboard_has_its_rows_and_nothing_overlaps() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        "Now",
        "Queries",
        "Daraja",
        "Callbacks and webhooks",
        "Stores and workers",
        "Shortcodes",
    ]
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    asked = {selector.name for _, expression in EXPRESSIONS for selector in selectors(expression)}
    families = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in series()}
    assert {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in asked} - {"up"} == families


def test_every_metric_has_its_line_in_the_documentation() -> None:
    page = (ROOT / "ops" / "docs" / "metrics.md").read_text()
    documented = re.findall(r"^\| `(mpesa_balance_\w+)` \|", page, re.MULTILINE)
    told = {name for name in series() if not name.endswith(("_sum", "_count"))}
    assert documented == sorted(documented)
    assert set(documented) == {name.removesuffix("_bucket") for name in told}
