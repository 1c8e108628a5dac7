"""The environment: every setting, its default and its check, read all at once and named all at once.

A setting that holds a secret may instead be given as NAME_FILE, the path of a file that holds it.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar, cast

from environs import EnvError, FileAwareEnv

from mpesa_balance import setting_checks
from mpesa_balance.addresses import parse_policy
from mpesa_balance.broker_urls import check_broker_url
from mpesa_balance.errors import SettingsInvalid
from mpesa_balance.retries import RetrySchedule
from mpesa_balance.sealing import Sealer, parse_sealer
from mpesa_balance.settings import (
    HEALTH_DIRECTORY,
    BrokerSettings,
    CallbackSettings,
    ConsoleSettings,
    DatabaseSettings,
    MetricsSettings,
    OidcSettings,
    RetentionSettings,
    WebhookSettings,
    WorkerSettings,
)

T = TypeVar("T")

#: The exit status that says "the configuration is wrong" (EX_CONFIG of sysexits.h).
EXIT_CONFIG: Final = 78


class Reader:
    """Reads settings and collects what is wrong with them, so that all of it is said at once."""

    def __init__(self) -> None:
        self._env = FileAwareEnv(strip_whitespace=True)
        self._wrong: dict[str, str] = {}
        #: Every setting that was read, with its default as text (None where there is none).
        self.read: dict[str, str | None] = {}

    def log_level(self) -> str:
        """LOG_LEVEL."""
        return self._value("LOG_LEVEL", setting_checks.log_level, "INFO")

    def log_format(self) -> str:
        """LOG_FORMAT."""
        return self._value("LOG_FORMAT", setting_checks.log_format, "auto")

    def sealer(self) -> Sealer:
        """SEALING_KEYS."""
        return self._value("SEALING_KEYS", parse_sealer)

    def spool_directory(self) -> Path:
        """SPOOL_DIR."""
        return self._value("SPOOL_DIR", setting_checks.directory, "/var/spool/mpesa-balance")

    def health_directory(self) -> Path:
        """HEALTH_DIR."""
        return self._value("HEALTH_DIR", setting_checks.directory, HEALTH_DIRECTORY)

    def database_url(self) -> str:
        """DATABASE_URL."""
        return self._value("DATABASE_URL", setting_checks.database_url)

    def database(self) -> DatabaseSettings:
        """DATABASE_URL, SEALING_KEYS, DATABASE_POOL_SIZE."""
        return DatabaseSettings(
            database_url=self.database_url(),
            sealer=self.sealer(),
            pool_size=self._whole("DATABASE_POOL_SIZE", 2, at_least=1),
        )

    def broker(self) -> BrokerSettings:
        """BROKER_URL."""
        return BrokerSettings(broker_url=self._value("BROKER_URL", check_broker_url))

    def callbacks(self) -> CallbackSettings:
        """SEALING_KEYS, CALLBACK_KEYS."""
        return CallbackSettings(
            sealer=self.sealer(),
            signer=self._value("CALLBACK_KEYS", setting_checks.signer),
        )

    def metrics(self) -> MetricsSettings:
        """METRICS_HOST, METRICS_PORT."""
        return MetricsSettings(
            host=self._value("METRICS_HOST", str, "127.0.0.1"),
            port=self._whole("METRICS_PORT", 0, at_least=0, at_most=65_535),
        )

    def retention(self) -> RetentionSettings:
        """RETENTION_DAYS, ARCHIVE_DIR."""
        days = self._whole("RETENTION_DAYS", 0, at_least=0, at_most=36_500)
        check = setting_checks.archive_directory if days else str
        directory = self._value("ARCHIVE_DIR", check, "")
        return RetentionSettings(days=days, directory=Path(directory or ""))

    def webhooks(self) -> WebhookSettings:
        """Everything that the webhook tier reads."""
        return WebhookSettings(
            broker=self.broker(),
            callbacks=self.callbacks(),
            spool_directory=self.spool_directory(),
            trusted_hops=self._whole("TRUSTED_PROXY_HOPS", 0, at_least=0),
            address_policy=self._value("CALLBACK_ADDRESS_POLICY", parse_policy, "flag"),
            unknown_per_minute=self._whole("UNKNOWN_TOKENS_PER_MINUTE", 30, at_least=1),
            log_level=self.log_level(),
            metrics=self.metrics(),
            log_format=self.log_format(),
        )

    def worker(self) -> WorkerSettings:
        """Everything that the Celery program reads."""
        return WorkerSettings(
            database=self.database(),
            broker=self.broker(),
            callbacks=self.callbacks(),
            callback_base_url=self._value("CALLBACK_BASE_URL", setting_checks.callback_base_url),
            query_deadline=self._whole("QUERY_DEADLINE_SECONDS", 600, at_least=5),
            # Longer than a submission task may run, or two could be at one query.
            submission_grace=self._whole("SUBMISSION_GRACE_SECONDS", 90, at_least=60),
            retries=self._retries(),
            minimum_interval=self._whole("MINIMUM_INTERVAL_SECONDS", 300, at_least=0),
            # Two tokens and two queries must fit into the time that a task has.
            daraja_timeout=self._whole("DARAJA_TIMEOUT_SECONDS", 10, at_least=1, at_most=10),
            token_margin=self._whole("TOKEN_MARGIN_SECONDS", 300, at_least=0),
            sweep_interval=self._whole("SWEEP_INTERVAL_SECONDS", 5, at_least=1),
            schedule_interval=self._whole("SCHEDULE_INTERVAL_SECONDS", 2, at_least=1),
            schedule_speed=self._whole("SCHEDULE_SPEED", 1, at_least=1, at_most=3600),
            canary_interval=self._whole("CANARY_INTERVAL_SECONDS", 30, at_least=1),
            retention=self.retention(),
            health_directory=self.health_directory(),
            log_level=self.log_level(),
            metrics=self.metrics(),
            log_format=self.log_format(),
        )

    def console_url(self) -> str:
        """CONSOLE_URL."""
        return self._value("CONSOLE_URL", setting_checks.console_url, "http://127.0.0.1:8090")

    def console(self) -> ConsoleSettings:
        """Everything that the console reads."""
        pool_size = self._whole("CONSOLE_POOL_SIZE", 6, at_least=1)
        return ConsoleSettings(
            database=replace(self.database(), pool_size=pool_size),
            broker=self.broker(),
            url=self.console_url(),
            keys=self._value("CONSOLE_KEYS", setting_checks.keys),
            trusted_hops=self._whole("TRUSTED_PROXY_HOPS", 0, at_least=0),
            oidc=self._oidc(),
            log_level=self.log_level(),
            log_format=self.log_format(),
        )

    def _oidc(self) -> OidcSettings | None:
        if not self._value("OIDC_ISSUER", str, ""):
            return None
        return OidcSettings(
            issuer=self._value("OIDC_ISSUER", setting_checks.https_url, ""),
            client_id=self._value("OIDC_CLIENT_ID", str),
            client_secret=self._value("OIDC_CLIENT_SECRET", str),
            name_claim=self._value("OIDC_NAME_CLAIM", str, "email"),
        )

    def _retries(self) -> RetrySchedule:
        return RetrySchedule(
            self._value("RETRY_BACKOFF_SECONDS", setting_checks.seconds, "5,15,60,120,240"),
            self._whole("QUOTA_BACKOFF_SECONDS", 300, at_least=1),
        )

    def finish(self) -> None:
        """Raise SettingsInvalid where anything was wrong; the text names every such setting."""
        if self._wrong:
            listed = "; ".join(f"{name} {problem}" for name, problem in self._wrong.items())
            raise SettingsInvalid(f"Settings to correct (see .env.example): {listed}")

    def _whole(self, name: str, default: int, *, at_least: int, at_most: int = 10**6) -> int:
        def check(text: str) -> int:
            if not (text.isascii() and text.isdecimal() and at_least <= int(text[:9]) <= at_most):
                raise ValueError(f"must be a whole number from {at_least} to {at_most}")
            return int(text)

        return self._value(name, check, str(default))

    def given(self, name: str, default: str) -> str:
        """A setting as it was given, for whoever passes it on to programs that check it."""
        return self._value(name, str, default)

    def _value(self, name: str, check: Callable[[str], T], default: str | None = None) -> T:
        self.read[name] = default
        try:
            return check(self._env.str(name) if default is None else self._env.str(name, default))
        except EnvError:
            self._wrong[name] = f"is not set (neither {name} nor {name}_FILE)"
        except ValueError as error:
            self._wrong[name] = str(error)
        # Nobody sees this value: `finish` raises before any setting is used.
        return cast("T", None)


def load(read: Callable[[Reader], T]) -> T:
    """What `read` reads, such as `load(Reader.worker)`. Raises SettingsInvalid."""
    reader = Reader()
    settings = read(reader)
    reader.finish()
    return settings


def load_or_exit(read: Callable[[Reader], T]) -> T:
    """The same for a program's start: what is wrong goes to standard error, and the program ends."""
    try:
        return load(read)
    except SettingsInvalid as error:
        print(error, file=sys.stderr)
        raise SystemExit(EXIT_CONFIG) from None
