"""A total deadline for one HTTP exchange. requests' own timeouts are for each read.

A server that drips a byte a second keeps `requests.get(timeout=1)` for as long as it likes. Here
every wait for the socket is cut to what is left of the exchange's time.
"""

import io
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class DeadlineAdapter(HTTPAdapter):
    """Transport whose exchanges, from connecting to the last byte, take `seconds` at most.

    What runs out of time raises what requests raises for a read that does.
    """

    def __init__(self, seconds: float, **options: Any) -> None:
        self._seconds = seconds
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Give the pools connections that know the deadline."""
        super().init_poolmanager(*args, **options)
        http = type("_HTTP", (_Deadline, HTTPConnection), {"seconds": self._seconds})
        https = type("_HTTPS", (_Deadline, HTTPSConnection), {"seconds": self._seconds})
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("_HTTPPool", (HTTPConnectionPool,), {"ConnectionCls": http}),
            "https": type("_HTTPSPool", (HTTPSConnectionPool,), {"ConnectionCls": https}),
        }


class _Deadline:
    """A connection that starts its clock with each request and hands it to its socket."""

    seconds: float
    sock: Any

    def request(self, *args: Any, **options: Any) -> None:
        self._ends = time.monotonic() + self.seconds
        if self.sock is not None:
            self.sock.ends = self._ends
        super().request(*args, **options)  # type: ignore[misc]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock = _Socket(self.sock, getattr(self, "_ends", time.monotonic() + self.seconds))


class _Socket:
    """A socket whose reads wait no longer than until `ends`."""

    def __init__(self, inner: Any, ends: float) -> None:
        self._inner = inner
        self.ends = ends

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def recv_into(self, buffer: Any) -> int:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the exchange took longer than its deadline")
        self._inner.settimeout(left)
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
