"""How the stores stand, for Prometheus: read when it asks, at most every few seconds, by one process.

Every worker tells the same of them: ask for `max by (...)`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import redis
from prometheus_client.core import GaugeMetricFamily, Metric

from mpesa_balance import apps, standing
from mpesa_balance.apps import App
from mpesa_balance.database import DATABASE_FAULTS, connect
from mpesa_balance.errors import DatabaseUnavailable, SealBroken
from mpesa_balance.metrics import PREFIX
from mpesa_balance.received import INBOX
from mpesa_balance.settings import WorkerSettings
from mpesa_balance.standing import Standing, Waiting
from mpesa_balance.states import OPEN
from worker.tokens import remaining_seconds

#: How long one statement may last, and how long what was read is told again, in seconds.
_PATIENCE: Final = 2
_KEPT_FOR: Final = 5.0

#: By the values of the labels.
Values = dict[tuple[str, ...], float]


class StandingCollector:
    """The gauges of both stores. Where one is away, its own are missing, and the scrape succeeds."""

    def __init__(self, settings: WorkerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._store = redis.Redis.from_url(
            settings.broker.broker_url, socket_timeout=1, socket_connect_timeout=1, retry=None
        )
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._kept_until = float("-inf")

    def describe(self) -> Iterable[Metric]:
        """Nothing is read in order to be registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The gauges, as they were at most a few seconds ago."""
        # Those who ask at once share one reading.
        with self._lock:
            if self._clock() >= self._kept_until:
                self._kept = self._read()
                self._kept_until = self._clock() + _KEPT_FOR
            return self._kept

    def _read(self) -> list[Metric]:
        found, held = self._database()
        tokens = self._tokens(held)
        return list(gauges(found, tokens))

    def _database(self) -> tuple[Standing | None, list[App]]:
        """How Postgres stands, and the apps whose credentials open."""
        settings = self._settings.database
        try:
            # No pool: what is forked meanwhile would have a part of it, and this is seldom.
            with connect(settings.database_url, "mpesa-balance-metrics") as connection:
                found = standing.read(connection, _PATIENCE)
                try:
                    return found, apps.every(connection, settings.sealer)
                except SealBroken:
                    return found, []
        except (DatabaseUnavailable, DATABASE_FAULTS):
            return None, []

    def _tokens(self, held: Iterable[App]) -> Mapping[str, float] | None:
        try:
            self._store.ping()
            return remaining_seconds(self._store, held)
        except redis.RedisError:
            return None


def gauges(found: Standing | None, tokens: Mapping[str, float] | None) -> Iterable[Metric]:
    """What is told of Postgres, and of the tokens in Redis by app; None of a store that is away."""
    yield _gauge("database_up", "Whether Postgres answers.", {(): found is not None})
    if found is not None:
        yield from _queries(found)
        yield from _shortcodes(found)
    yield _gauge("broker_up", "Whether Redis answers.", {(): tokens is not None})
    left: Values = {(app,): seconds for app, seconds in (tokens or {}).items()}
    text = "How long the app's access token is still used; 0: there is none."
    yield _gauge("app_token_expiry_seconds", text, left, "app")


def _queries(found: Standing) -> Iterable[Metric]:
    queries = {state: found.queries.get(state, Waiting()) for state in OPEN}
    yield _gauge("open_queries", "Queries that wait.", _by(queries, "count"), "state")
    age = "The age of the oldest query that waits."
    yield _gauge("open_query_oldest_age_seconds", age, _by(queries, "oldest_seconds"), "state")
    yield from _waiting("outbox_notices", "notices in the outbox", found.notices)
    yield from _waiting("replies_waiting", "replies to callers", found.replies)
    yield from _waiting("callbacks_unjudged", "recorded callbacks without a judgement", found.unjudged)
    inbox: Values = {(str(disposition),): found.inbox.get(disposition, 0) for disposition in INBOX}
    yield _gauge("inbox_callbacks", "Callbacks that wait for a person.", inbox, "disposition")
    yield _gauge("quarantined_tasks", "Tasks in quarantine.", {(): found.quarantined})


def _shortcodes(found: Standing) -> Iterable[Metric]:
    every = found.shortcodes
    suspended: Values = {(one.shortcode,): one.is_suspended for one in every}
    yield _gauge("shortcode_suspended", "Whether nothing is asked in its name.", suspended, "shortcode")
    passwords: Values = {(one.shortcode,): one.password_age for one in every}
    yield _gauge(
        "shortcode_password_age_seconds", "The age of its initiator's password.", passwords, "shortcode"
    )
    balances: Values = {(one.shortcode,): one.balance_age for one in every if one.balance_age is not None}
    yield _gauge("shortcode_balance_age_seconds", "The age of its newest balance.", balances, "shortcode")
    slots: Values = {(app,): seconds for app, seconds in found.slots.items()}
    yield _gauge("app_next_slot_seconds", "When the app may send again.", slots, "app")


def _waiting(name: str, what: str, waiting: Waiting) -> Iterable[Metric]:
    yield _gauge(name, f"How many {what} wait.", {(): waiting.count})
    age = f"The age of the oldest of the {what} that wait."
    yield _gauge(f"{name}_oldest_age_seconds", age, {(): waiting.oldest_seconds})


def _by(waiting: Mapping[Any, Waiting], what: str) -> Values:
    return {(str(key),): getattr(one, what) for key, one in waiting.items()}


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for given, value in values.items():
        family.add_metric(given, float(value))
    return family
