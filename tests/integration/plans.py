"""The plans of all statements that a house runs, as Postgres made them: those of triggers included."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg.errors import Diagnostic

from mpesa_balance.database import Connection
from worker.house import House

#: What has as many rows as there are shortcodes, apps, rules and accidents, however much is asked.
SMALL = {
    "alert_channels",
    "alert_rules",
    "daraja_apps",
    "quarantined_tasks",
    "schedules",
    "shortcodes",
    "ticks",
}

#: Not analyzed: the plan is wanted, and not what it cost.
_SESSION = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_format = json;
    SET auto_explain.log_level = notice;
"""

#: As if each table were so many times as long as it is.
_LARGER = 1000

_PRETEND = """
    SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', c.relname::text,
                                     'relpages', c.relpages, 'reltuples', (c.reltuples * %(larger)s)::real)
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.reltuples > 0
      AND c.relname <> ALL(%(small)s)
"""


@dataclass(frozen=True)
class Plan:
    """How one statement was run."""

    statement: str
    nodes: tuple[dict[str, Any], ...]

    @property
    def scanned(self) -> set[str]:
        """The tables that grow and were read from one end to the other."""
        return {
            node["Relation Name"]
            for node in self.nodes
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] not in SMALL
        }


def pretend_years(connection: Connection) -> None:
    """Let the planner believe that the tables that grow have grown for years."""
    connection.execute(_PRETEND, {"larger": _LARGER, "small": list(SMALL)})


@contextmanager
def explained(house: House, settings: str = "") -> Iterator[list[Plan]]:
    """The plans of whatever the house runs meanwhile. Its pool has one connection."""
    found: list[Plan] = []

    def note(said: Diagnostic) -> None:
        _, told, text = (said.message_primary or "").partition("plan:\n")
        if told:
            plan = json.loads(text)
            found.append(Plan(plan["Query Text"], tuple(nodes(plan["Plan"]))))

    with house.database.transaction() as connection:
        connection.execute(_SESSION + settings)
        connection.add_notice_handler(note)
    yield found
    with house.database.transaction() as connection:
        connection.remove_notice_handler(note)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A node and all below it."""
    return [plan, *(node for below in plan.get("Plans", ()) for node in nodes(below))]
