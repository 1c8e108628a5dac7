"""The installation that is examined: its settings, stores and registrations, each found out once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, Self

import redis

from mpesa_balance import diagnosis
from mpesa_balance.database import Connection, Database
from mpesa_balance.diagnosis import RegisteredApp, RegisteredShortcode
from mpesa_balance.environment import Reader, load
from mpesa_balance.sealing import Sealer
from mpesa_balance.settings import DatabaseSettings, WorkerSettings

#: How long the broker may take for one answer, in seconds.
_BROKER_SECONDS: Final = 2


def _here() -> datetime:
    return datetime.now(UTC)


class Patient:
    """What the checks look at. Each part reads only the settings that it needs.

    Everything raises SettingsInvalid where those are wrong, and what is in Postgres also
    DatabaseUnavailable or SchemaOutdated.
    """

    def __init__(self, shortcode: str | None = None, clock: Callable[[], datetime] = _here) -> None:
        """`shortcode` is the only one to look at, or None for all; `clock` is that of this machine."""
        self.clock = clock
        self._shortcode = shortcode

    @cached_property
    def settings(self) -> WorkerSettings:
        """All that the workers read."""
        return load(Reader.worker)

    @cached_property
    def database_url(self) -> str:
        """Where Postgres is."""
        return load(Reader.database_url)

    @cached_property
    def sealer(self) -> Sealer:
        """What opens the envelopes."""
        return load(Reader.database).sealer

    @cached_property
    def broker_url(self) -> str:
        """Where Redis is."""
        return load(Reader.broker).broker_url

    @cached_property
    def broker(self) -> redis.Redis:
        """Redis. A fault is said at once, not tried away."""
        return redis.Redis.from_url(
            self.broker_url,
            socket_timeout=_BROKER_SECONDS,
            socket_connect_timeout=_BROKER_SECONDS,
            retry=None,
        )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads."""
        with diagnosis.reading(self._database) as connection:
            yield connection

    @cached_property
    def apps(self) -> dict[str, RegisteredApp]:
        """Every registered app, by name."""
        with self.reading() as connection:
            return {app.name: app for app in diagnosis.registered_apps(connection)}

    @cached_property
    def shortcodes(self) -> dict[str, RegisteredShortcode]:
        """The shortcodes to look at. Raises NotFound where one was named that is not registered."""
        with self.reading() as connection:
            found = diagnosis.registered_shortcodes(connection, self._shortcode)
        return {entry.shortcode: entry for entry in found}

    @cached_property
    def _database(self) -> Database:
        # Without keys: what is sealed is opened with `sealer`, and Postgres can be looked at where
        # SEALING_KEYS is wrong.
        settings = DatabaseSettings(database_url=self.database_url, sealer=Sealer({}))
        return Database(settings, "mpesa-balance-doctor")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the connections back."""
        if "_database" in self.__dict__:
            self._database.close()
        if "broker" in self.__dict__:
            self.broker.close()
