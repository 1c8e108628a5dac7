"""The transport: Redis as kombu reads it, save that what is no message at all does not end the worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError as BrokerGone

from mpesa_balance import logs

logger = logs.get_logger(__name__)

#: What kombu and its decoders raise for bytes that no client of Celery's has written.
_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class GuardedChannel(redis.Channel):
    """Takes messages as kombu does, which lets any of these errors end its event loop."""

    _kept: Any = None
    _pool: Any

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """A client of this channel's pool; kombu makes one each time, for longer than it is used.

        Raises ConnectionError, which kombu expects, where the connection is given up: it would look for an
        address that is gone, and that error ends a worker which has a message in hand as its broker goes.
        """
        if client is None and self._pool is None and getattr(self.connection, "client", None) is None:
            raise BrokerGone("the connection to the broker is given up")
        if client is None and (self._kept is None or self._kept.connection_pool is not self.pool):
            self._kept = self._create_client()  # type: ignore[attr-defined]
        yield client or self._kept

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except _UNREADABLE as error:
            # Redis has given it away, and what cannot be read cannot be put back either. Its text
            # may hold anything, so that only the kind of the error is told.
            logger.error("message_dropped", error_type=type(error).__name__)  # noqa: TRY400
            return None


class GuardedTransport(redis.Transport):
    """Redis, with and without TLS."""

    Channel = GuardedChannel


def register() -> None:
    """Let kombu find this transport for every address of Redis in this process."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:GuardedTransport"))
