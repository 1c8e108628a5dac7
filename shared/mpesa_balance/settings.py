"""What the programs are set to: a group of settings for each thing that wants some. See environment.py."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mpesa_balance.addresses import AddressPolicy
from mpesa_balance.callback_urls import CallbackSigner
from mpesa_balance.contract import DELIVER_ALERTS, PRUNE, REFRESH_TOKENS, RUN_SCHEDULES, SWEEP
from mpesa_balance.retries import RetrySchedule
from mpesa_balance.sealing import Sealer

#: Where a container of ours may write, and nothing has to survive.
HEALTH_DIRECTORY: Final = "/tmp/mpesa-balance"  # noqa: S108


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """How to reach Postgres and to open what is sealed in it."""

    database_url: str = field(repr=False)
    sealer: Sealer
    pool_size: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """How to reach Redis: an address that `check_broker_url` gave."""

    broker_url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSettings:
    """How callbacks are signed and sealed at the door."""

    sealer: Sealer
    signer: CallbackSigner


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Where a program tells Prometheus what it counts; nowhere where `port` is 0."""

    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long what has ended is kept, and where it is archived before it is removed. 0: for ever."""

    days: int = 0
    directory: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Everything that the webhook tier reads. It knows no database."""

    broker: BrokerSettings
    callbacks: CallbackSettings
    spool_directory: Path
    trusted_hops: int
    address_policy: AddressPolicy
    unknown_per_minute: int
    log_level: str
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    log_format: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Everything that the Celery program reads. Times are in seconds."""

    database: DatabaseSettings
    broker: BrokerSettings
    callbacks: CallbackSettings
    callback_base_url: str
    query_deadline: int
    submission_grace: int
    retries: RetrySchedule
    minimum_interval: int
    daraja_timeout: int
    token_margin: int
    sweep_interval: int
    schedule_interval: int
    schedule_speed: int
    canary_interval: int
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    health_directory: Path = Path(HEALTH_DIRECTORY)
    log_level: str
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    log_format: str = "auto"

    @property
    def intervals(self) -> dict[str, int]:
        """How often each periodic job runs, in seconds, whoever sends its ticks."""
        return {
            SWEEP: self.sweep_interval,
            RUN_SCHEDULES: self.schedule_interval,
            REFRESH_TOKENS: 60,
            DELIVER_ALERTS: 5,
            PRUNE: 3600,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """The provider of single sign-on. name_claim: which of its claims is the name of a user."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name_claim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """Everything that the console reads.

    url: where people reach it. keys: what its cookies are signed with, the first for new ones.
    oidc: None without single sign-on.
    """

    database: DatabaseSettings
    broker: BrokerSettings
    url: str
    keys: tuple[bytes, ...] = field(repr=False)
    trusted_hops: int
    oidc: OidcSettings | None
    log_level: str
    log_format: str = "auto"

    @property
    def is_encrypted(self) -> bool:
        """Whether people reach it over HTTPS."""
        return self.url.startswith("https://")
