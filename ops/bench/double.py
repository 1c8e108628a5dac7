"""A stand-in for Daraja that costs little: `python -m ops.bench.double --port 8000 --delay 0.2`.

It takes every query at once, and posts a successful result to its ResultURL a moment later, on kept
connections. It refuses nothing and remembers only counts: GET /counts. The simulator does the rest.
"""

import argparse
import asyncio
import json
import secrets
from asyncio import Transport
from collections import deque
from functools import partial
from typing import Any, Final, cast
from urllib.parse import urlsplit

import uvloop

from ops.bench.connections import Connection
from ops.bench.population import result_around
from ops.bench.wire import answer_length, head

#: So many callbacks are on their way to one host at most.
_MOST_CONNECTIONS: Final = 32

_TOKEN: Final = json.dumps({"access_token": "a" * 28, "expires_in": "3599"}).encode()


class Courier:
    """Posts results to one host. What is refused there comes again after `delay` seconds."""

    def __init__(self, address: tuple[str, int], delay: float, counts: dict[str, int]) -> None:
        self._address = address
        self._delay = delay
        self._counts = counts
        self._waiting: deque[bytes] = deque()
        self._idle: list[Connection] = []
        self._open = 0
        self._opening: set[asyncio.Task[None]] = set()

    def post(self, request: bytes) -> None:
        """Post one result, as soon as a connection is free."""
        if self._idle:
            self._idle.pop().send(request)
            return
        self._waiting.append(request)
        if self._open < _MOST_CONNECTIONS:
            self._open += 1
            task = asyncio.get_running_loop().create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: Connection(self), *self._address)
        except OSError:
            self._open -= 1
            self._counts["unreachable"] += 1
            return
        self._serve(connection)

    def settle(self, connection: Connection, status: bytes, _: float) -> None:
        """A result has been answered."""
        is_delivered = status == b"200"
        self._counts["delivered" if is_delivered else "refused"] += 1
        if not is_delivered:
            asyncio.get_running_loop().call_later(self._delay, self.post, connection.sent)
        self._serve(connection)

    def drop(self, connection: Connection, unanswered: bytes | None) -> None:
        """A connection has ended: what it carried goes again."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if unanswered is not None:
            self.post(unanswered)

    def _serve(self, connection: Connection) -> None:
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._idle.append(connection)


class Daraja:
    """Takes queries, and has their results posted `delay` seconds later."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._around = result_around()
        self._couriers: dict[tuple[str, int], Courier] = {}
        self._counts = {"minted": 0, "asked": 0, "delivered": 0, "refused": 0, "unreachable": 0}

    def answer(self, request: bytes) -> bytes:
        """The answer to one whole request."""
        if request.startswith(b"POST"):
            return _ok(self._take(json.loads(request[request.index(b"\r\n\r\n") + 4 :])))
        if request.startswith(b"GET /counts"):
            return _ok(json.dumps(self._counts).encode())
        self._counts["minted"] += 1
        return _ok(_TOKEN)

    def _take(self, query: dict[str, Any]) -> bytes:
        number = self._counts["asked"]
        self._counts["asked"] += 1
        originator = f"{number // 10**8:05}-{number % 10**8:08}-1"
        conversation = f"AG_20261122_{secrets.token_hex(10)}"
        asyncio.get_running_loop().call_later(
            self._delay, self._post, query["ResultURL"], originator.encode(), conversation.encode()
        )
        taken = {
            "OriginatorConversationID": originator,
            "ConversationID": conversation,
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }
        return json.dumps(taken).encode()

    def _post(self, url: str, originator: bytes, conversation: bytes) -> None:
        parts = urlsplit(url)
        address = parts.hostname or "", parts.port or 80
        courier = self._couriers.get(address)
        if courier is None:
            courier = self._couriers[address] = Courier(address, self._delay, self._counts)
        before, between, after = self._around
        body = before + originator + between + conversation + after
        courier.post(head(parts.path, f"Content-Length: {len(body)}") + body)


class Serving(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, daraja: Daraja) -> None:
        self._daraja = daraja
        self._received = b""
        self._transport: Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        self._transport = cast("Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._received += data
        # A request's length is announced in the same way as an answer's.
        while (length := answer_length(self._received)) is not None and len(self._received) >= length:
            request, self._received = self._received[:length], self._received[length:]
            if self._transport is not None:
                self._transport.write(self._daraja.answer(request))


def _ok(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    ) + body


async def _serve(port: int, delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(Serving, Daraja(delay)), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--port", type=int, required=True)
    made.add_argument("--delay", type=float, default=0.2, help="seconds from a query to its result")
    options = made.parse_args()
    uvloop.run(_serve(options.port, options.delay))


if __name__ == "__main__":
    main()
