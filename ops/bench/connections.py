"""Kept HTTP connections of a bare protocol, for those who send much and must cost little."""

import asyncio
from typing import Protocol, cast

from ops.bench.wire import answer_length


class Sender(Protocol):
    """Who sends on connections."""

    def settle(self, connection: "Connection", status: bytes, since: float) -> None:
        """An answer has come, to the request that was due at `since`; the connection is free."""

    def drop(self, connection: "Connection", unanswered: bytes | None) -> None:
        """A connection has ended, perhaps before the answer to a request."""


class Connection(asyncio.Protocol):
    """One kept connection with at most one request on it."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._received = b""
        self._since = 0.0
        self._is_asking = False
        #: What was sent last.
        self.sent = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for something to ask."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, since: float = 0.0) -> None:
        """Write one request."""
        self._since, self._is_asking, self.sent = since, True, request
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Read the answer, which comes in one piece as a rule."""
        received = self._received + data if self._received else data
        length = answer_length(received)
        if length is None or len(received) < length:
            self._received = received
            return
        self._received, self._is_asking = b"", False
        self._sender.settle(self, received[9:12], self._since)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has closed."""
        self._sender.drop(self, self.sent if self._is_asking else None)
