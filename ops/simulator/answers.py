"""What the gateway answers to a query: acknowledgements, errors in Daraja's words, and broken ones."""

import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from flask import Response, jsonify

from ops.simulator.payloads import Document

#: The SO_LINGER with which closing a connection resets it.
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request that waits for its answer.

    `acknowledgement` is what M-PESA says about the query, and empty where it was not asked.
    A dripping answer takes `drip_seconds`, or until `closing` is set.
    """

    token: str = field(default="", repr=False)
    acknowledgement: Document
    connection: socket.socket
    drip_seconds: float
    closing: threading.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A way to answer.

    says: the answer in a few words, for people.
    reason: the code, or where there is none the word, under which a query is not taken; None where
        M-PESA takes it.
    is_sent: False where the connection ends without a byte of the answer.
    is_slow: True where M-PESA is at work long before the answer has arrived.
    """

    respond: Callable[[Exchange], Response]
    says: str
    reason: str | None = None
    is_sent: bool = True
    is_slow: bool = False

    @property
    def is_taken(self) -> bool:
        """Whether M-PESA takes the query, whatever its sender learns of it."""
        return self.reason is None


def acknowledge(change: Callable[[Document], Document], reason: str | None = None) -> Answer:
    """HTTP 200 with M-PESA's acknowledgement, changed."""
    return Answer(
        respond=lambda exchange: jsonify(change(exchange.acknowledgement)),
        says="an acknowledgement",
        reason=reason,
    )


def refuse(status: int, code: str, text: str) -> Answer:
    """An error body of Daraja. `{token}` in the text is where Daraja repeats the access token."""

    def respond(exchange: Exchange) -> Response:
        said = text.replace("{token}", exchange.token)
        body = jsonify({"requestId": _request_id(), "errorCode": code, "errorMessage": said})
        body.status_code = status
        return body

    return Answer(
        respond=respond, says=f"HTTP {status} `{code}` {text.replace('{token}', 'TOKEN')!r}", reason=code
    )


def show(status: int, text: str, reason: str, mimetype: str = "text/html") -> Answer:
    """What comes from the machines in front of Daraja, which know no JSON."""
    return Answer(
        respond=lambda _: Response(text, status, mimetype=mimetype),
        says=f"HTTP {status} and {'a page in HTML' if text else 'an empty body'}",
        reason=reason,
    )


def no_product() -> Answer:
    """A token of an app that may not use this API; also said of tokens made before it might."""
    text = "Invalid Access Token - Invalid API call as no apiproduct match found"

    def respond(_: Exchange) -> Response:
        body = jsonify({"ResponseCode": "", "ResponseDescription": text})
        body.status_code = 401
        return body

    return Answer(respond=respond, says=f"HTTP 401 {text!r}", reason="no-apiproduct")


def _truncated(exchange: Exchange) -> Response:
    whole = jsonify(exchange.acknowledgement).get_data()
    # The announced length is that of the whole body, so that its end is known to be missing.
    half = iter([whole[: len(whole) // 2]])
    return _announced(half, len(whole))


def _dripping(exchange: Exchange) -> Response:
    whole = jsonify(exchange.acknowledgement).get_data()
    pause = exchange.drip_seconds / len(whole)

    def drops() -> Iterator[bytes]:
        for byte in whole:
            if exchange.closing.wait(pause):
                return
            yield bytes([byte])

    return _announced(drops(), len(whole))


def _reset(exchange: Exchange) -> Response:
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)

    def nothing() -> Iterator[bytes]:
        # The server takes this for a client that has gone, and closes without writing.
        raise ConnectionAbortedError
        yield b""

    return Response(nothing())


def _announced(body: Iterator[bytes], length: int) -> Response:
    return Response(body, headers={"Content-Length": str(length)}, mimetype="application/json")


def _request_id() -> str:
    return f"{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.randbelow(10**8)}"


ACKNOWLEDGE: Final = acknowledge(lambda document: document)
TRUNCATE: Final = Answer(
    respond=_truncated, says="cuts the acknowledgement in the middle and closes the connection"
)
DRIP: Final = Answer(
    respond=_dripping, says="sends the acknowledgement one byte at a time, for a minute", is_slow=True
)
RESET: Final = Answer(respond=_reset, says="resets the connection instead of acknowledging", is_sent=False)

INVALID_TOKEN: Final = refuse(404, "404.001.03", "Invalid Access Token")
INVALID_PAYLOAD: Final = refuse(400, "400.002.05", "Invalid Request Payload")
SPIKE_ARREST: Final = refuse(500, "500.003.02", "Error Occurred: Spike Arrest Violation")
QUOTA: Final = refuse(500, "500.003.03", "Quota Violation")
MAINTENANCE: Final = refuse(
    500, "00.002.1001", "Service is currently under maintenance. Please try again later"
)


def invalid_field(name: str) -> Answer:
    """The refusal of a request that names what is wrong with it."""
    return refuse(400, "400.002.02", f"Bad Request - Invalid {name}")
