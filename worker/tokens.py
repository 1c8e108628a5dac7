"""Access tokens: one for each app, shared by all workers, sealed in Redis, minted by one at a time."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import redis
from redis.exceptions import LockError

from mpesa_balance import apps, logs
from mpesa_balance.apps import App
from mpesa_balance.crash_points import CrashPoint, crash_at
from mpesa_balance.database import Database
from mpesa_balance.errors import BrokerUnavailable, DarajaError, SealBroken
from worker import metrics
from worker.answers import Token

logger = logs.get_logger(__name__)

#: What the names of all tokens in Redis begin with.
NAMES: Final = "mpesa-balance:token:"

#: A token is not used in its last seconds: it must still be good when Daraja looks at it.
_SPARE_SECONDS: Final = 30

#: A minter that died gives the lock back after this long; minting takes Daraja's deadline at most.
_LOCK_SECONDS: Final = 12


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of all apps. Raises BrokerUnavailable where Redis is away, and what `mint` raises."""

    store: redis.Redis
    database: Database
    mint: Callable[[App], Token]
    margin: int

    def current(self, app: App) -> str:
        """A token that was good when it was last looked at."""
        with _RedisFaults():
            return self._stored(app) or self._minted(app, instead_of=None)

    def replace(self, app: App, refused: str) -> str:
        """A token other than one that was refused; minted once, however many ask for it."""
        with _RedisFaults():
            return self._minted(app, instead_of=refused)

    def refresh_all(self) -> None:
        """Mint what is missing or expires within the margin, for every app."""
        with self.database.transaction() as connection:
            every = apps.every(connection, self.database.sealer)
        for app in every:
            try:
                self._refresh(app)
            except DarajaError as error:
                # One app's trouble must not leave the others without tokens.
                logger.warning("token_not_minted", app=app.name, reason=str(error))

    def _refresh(self, app: App) -> None:
        with _RedisFaults():
            left = self.store.pttl(_name(app))
            if left < self.margin * 1000:
                self._minted(app, instead_of=self._stored(app))

    def _minted(self, app: App, *, instead_of: str | None) -> str:
        lock = self.store.lock(
            f"{_name(app)}:minting",
            timeout=_LOCK_SECONDS,
            blocking_timeout=_LOCK_SECONDS,
            raise_on_release_error=False,
        )
        with lock:
            # Whoever held the lock before us may have minted what we came for.
            stored = self._stored(app)
            if stored is not None and stored != instead_of:
                return stored
            try:
                token = self.mint(app)
            except DarajaError:
                metrics.minted(app.name, is_good=False)
                raise
            metrics.minted(app.name, is_good=True)
            crash_at(CrashPoint.TOKEN_NOT_STORED)
            lives = max(token.expires_in - _SPARE_SECONDS, 1)
            self.store.set(_name(app), self._seal(app, token.value), ex=lives)
        logger.info("token_minted", app=app.name, expires_in=token.expires_in)
        return token.value

    def _stored(self, app: App) -> str | None:
        sealed = self.store.get(_name(app))
        if not isinstance(sealed, bytes):
            return None
        try:
            return self.database.sealer.open_text(sealed, _name(app))
        except SealBroken:
            # Sealed with a key that is gone: a token can be minted again, so it is no loss.
            return None

    def _seal(self, app: App, token: str) -> bytes:
        return self.database.sealer.seal_text(token, _name(app))


def remaining_seconds(store: redis.Redis, held: Iterable[App]) -> dict[str, float]:
    """How long the token of each app is still used; 0 for none. Raises redis.RedisError."""
    return {app.name: max(store.pttl(_name(app)), 0) / 1000 for app in held}


class _RedisFaults:
    """Lets every fault of Redis leave as BrokerUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LockError):
            raise BrokerUnavailable("another worker is minting a token and is not done yet") from error
        if isinstance(error, redis.RedisError):
            raise BrokerUnavailable(f"Redis cannot be used for tokens: {error}") from error


def _name(app: App) -> str:
    # The consumer key is part of the name, so that an app's new credentials get a new token.
    identity = hashlib.sha256(f"{app.base_url}\n{app.consumer_key}".encode()).hexdigest()[:16]
    return f"{NAMES}{app.name}:{identity}"
