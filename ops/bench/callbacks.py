"""The webhook tier as it is measured: its settings, good callbacks, its spools, and who takes from it."""

import asyncio
import base64
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

import redis
import redis.asyncio

from mpesa_balance.callback_urls import PATH, CallbackSigner
from mpesa_balance.contract import CALLBACKS_QUEUE, RECEIPTS
from mpesa_balance.sealing import new_key, parse_key
from ops.bench.candidates import Candidate
from ops.bench.wire import post
from ops.simulator.payloads import open_conversation, success
from ops.stack.programs import webhooks_command

#: When this is answered the tier is there.
LIVE: Final = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"

_BALANCE: Final = (
    "Working Account|KES|700000.00|700000.00|0.00|0.00&Float Account|KES|0.00|0.00|0.00|0.00"
    "&Utility Account|KES|228037.00|228037.00|0.00|0.00"
    "&Charges Paid Account|KES|-1540.00|-1540.00|0.00|0.00"
)
_BODY: Final = json.dumps(success(open_conversation({"PartyA": "600000"}, lambda _: _BALANCE))).encode()

_KEYS: Final = {"SEALING_KEYS": f"bench:{new_key()}", "CALLBACK_KEYS": new_key()}
_SIGNER: Final = CallbackSigner((parse_key(_KEYS["CALLBACK_KEYS"]),))


def settings(spool: Path, broker_url: str) -> dict[str, str]:
    """The environment of a tier."""
    return {**_KEYS, "SPOOL_DIR": str(spool), "BROKER_URL": broker_url, "LOG_LEVEL": "WARNING"}


def tier(processes: int = 1) -> Candidate:
    """The tier as it is run, with so many processes."""
    return Candidate("the webhook tier", ("granian",), lambda port: webhooks_command(port, processes))


@dataclass(slots=True)
class Callbacks:
    """Good callbacks, each for an attempt of its own."""

    attempts: set[str] = field(default_factory=set)

    def requests(self) -> Iterator[bytes]:
        """One after the other, without end."""
        while True:
            attempt_id = uuid4()
            self.attempts.add(str(attempt_id))
            yield post(f"{PATH}/{_SIGNER.token(attempt_id)}/result", _BODY)


def spooled(spool: Path) -> set[str]:
    """The attempts whose callbacks stand in the spools of this directory."""
    found: set[str] = set()
    for path in spool.glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as reader:
            messages = reader.execute("SELECT message FROM deliveries").fetchall()
        found |= {json.loads(message)["attempt_id"] for (message,) in messages}
    return found


async def emptied(spool: Path, patience: float) -> float:
    """How long it takes until nothing is in the spools, or `patience`, in seconds."""
    began = time.monotonic()
    while spooled(spool) and time.monotonic() - began < patience:
        await asyncio.sleep(0.1)
    return time.monotonic() - began


class StandIn:
    """Stands in for the worker: takes what is queued, remembers the attempts, and sends receipts."""

    def __init__(self, broker_url: str) -> None:
        self.recorded: set[str] = set()
        self._redis = redis.asyncio.Redis.from_url(broker_url, socket_timeout=None)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                taken = await self._redis.brpop([CALLBACKS_QUEUE], timeout=1)
            except redis.RedisError:
                continue
            if taken is not None:
                await self._record(cast("bytes", taken[1]))

    async def _record(self, message: bytes) -> None:
        kwargs: dict[str, Any] = json.loads(base64.b64decode(json.loads(message)["body"]))[1]
        self.recorded |= {one["attempt_id"] for one in kwargs["deliveries"]}
        if "spool" in kwargs:
            numbers = [one["number"] for one in kwargs["deliveries"]]
            await self._redis.rpush(f"{RECEIPTS}{kwargs['spool']}", *numbers)
