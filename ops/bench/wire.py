"""HTTP as the measurements speak it: bytes that are written out, so that they can also be cut short."""

import asyncio
import json
import re
from asyncio import StreamReader, StreamWriter
from typing import Final

#: A callback as long as Daraja's.
BODY: Final = json.dumps({"Result": {"ResultCode": 0, "ResultDesc": "x" * 1485}}).encode()

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

#: Says that an answer is the last one of its connection.
_CLOSE: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


def head(path: str = "/", framing: str = f"Content-Length: {len(BODY)}") -> bytes:
    """The head of a POST, up to its body."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    ).encode()


def post(path: str = "/", body: bytes = BODY) -> bytes:
    """A whole POST."""
    return head(path, f"Content-Length: {len(body)}") + body


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks of this size, with the last chunk."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(chunk(piece) for piece in pieces) + b"0\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def answer_length(received: bytes) -> int | None:
    """How long the whole answer is that begins with `received`, or None before its head is complete."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    announced = _LENGTH.search(received, 0, end)
    return end + 4 + (int(announced[1]) if announced else 0)


async def read_answer(reader: StreamReader) -> tuple[int, bool]:
    """The status of one answer, and whether its connection stays open."""
    received = await reader.readuntil(b"\r\n\r\n")
    length = answer_length(received)
    await reader.readexactly((length or 0) - len(received))
    return int(received[9:12]), _CLOSE.search(received) is None


async def connect(port: int) -> tuple[StreamReader, StreamWriter]:
    """A new connection to a candidate."""
    return await asyncio.open_connection("127.0.0.1", port)


async def exchange(port: int, request: bytes) -> int:
    """The status that a request gets on a connection of its own."""
    reader, writer = await connect(port)
    try:
        writer.write(request)
        status, _ = await read_answer(reader)
        return status
    finally:
        writer.close()
