"""A total deadline for one HTTP exchange. requests' own timeouts are for each read.

A server that drips a byte a second keeps `requests.get(timeout=1)` for as long as it likes. Here
every wait for the socket is cut to what is left of the exchange's time.
"""

import io
import threading
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _Clock(threading.local):
    """When the exchange that this thread is at must end, by the monotonic clock."""

    ends = 0.0

    def left(self) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the exchange took longer than its deadline")
        return left


class DeadlineAdapter(HTTPAdapter):
    """Transport whose exchanges, from connecting to the last byte, take `seconds` at most.

    What runs out of time raises what requests raises for a read that does. Two waits are not cut to
    what is left: resolving a name, and connecting to each of several addresses of one name, which has
    the connect timeout of the request.
    """

    def __init__(self, seconds: float, **options: Any) -> None:
        self._seconds = seconds
        self._clock = _Clock()
        super().__init__(**options)

    def send(self, *args: Any, **options: Any) -> requests.Response:
        """Start the clock of this exchange and make it."""
        self._clock.ends = time.monotonic() + self._seconds
        return super().send(*args, **options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Give the pools connections that know the clock."""
        super().init_poolmanager(*args, **options)
        clock = {"clock": self._clock}
        http = type("_HTTP", (_Deadline, HTTPConnection), clock)
        https = type("_HTTPS", (_Deadline, HTTPSConnection), clock)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("_HTTPPool", (HTTPConnectionPool,), {"ConnectionCls": http}),
            "https": type("_HTTPSPool", (HTTPSConnectionPool,), {"ConnectionCls": https}),
        }


class _Deadline:
    """A connection that hands the clock to its socket."""

    clock: _Clock
    sock: Any

    def _new_conn(self) -> Any:
        sock = super()._new_conn()  # type: ignore[misc]
        # A handshake that follows takes what connecting has left over.
        sock.settimeout(self.clock.left())
        return sock

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock = _Socket(self.sock, self.clock)


class _Socket:
    """A socket whose reads wait no longer than the clock has left."""

    def __init__(self, inner: Any, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def recv_into(self, buffer: Any) -> int:
        self._inner.settimeout(self._clock.left())
        count: int = self._inner.recv_into(buffer)
        return count

    def makefile(self, mode: str, *_: Any, **__: Any) -> io.BufferedReader:
        # The response counts on the socket staying open until its file is closed.
        self._inner._io_refs += 1
        return io.BufferedReader(_Stream(self))


class _Stream(io.RawIOBase):
    def __init__(self, sock: _Socket) -> None:
        self._socket = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._socket._inner._decref_socketios()
