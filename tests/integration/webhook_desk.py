"""The webhook tier under its real server, as a test starts it and looks into it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import redis
import requests

from mpesa_balance.callback_urls import CallbackSigner
from mpesa_balance.deliveries import Delivery
from mpesa_balance.errors import SpoolUnavailable
from mpesa_balance.sealing import Sealer, parse_key, parse_sealer
from ops.stack.ports import free_port
from ops.stack.programs import webhooks_command
from tests.fakes import deliver
from tests.integration import queued
from tests.waiting import eventually, is_answered
from webhooks.spool import Spooled, SpoolReader

ACCEPTED = {"ResultCode": 0, "ResultDesc": "Accepted"}
BODY = b'{"Result": {"ResultCode": 1}}'


@dataclass(frozen=True)
class Webhooks:
    url: str
    signer: CallbackSigner
    sealer: Sealer
    spool: Path
    queue: redis.Redis
    process: "subprocess.Popen[bytes]"

    def address(self, attempt_id: UUID, kind: str = "result") -> str:
        return f"{self.url}/callbacks/balance/{self.signer.token(attempt_id)}/{kind}"

    def messages(self) -> list[dict[str, Any]]:
        """What stands in the callbacks queue, oldest first."""
        return queued.messages(self.queue)

    def spooled(self) -> list[Spooled]:
        """What is in the spool: whatever was answered with 200 and has no receipt."""
        reader = SpoolReader(self.spool / "0.sqlite")
        with closing(reader):
            try:
                return reader.after(0, 100_000)
            except SpoolUnavailable as error:
                # The tier may have refused what came before it had made its spool.
                if "no such table" not in str(error):
                    raise
                return []

    def deliveries(self) -> list[Delivery]:
        return [one.delivery for one in self.spooled()]

    def payloads(self) -> list[bytes]:
        return [self.sealer.open(one.payload, one.place) for one in self.deliveries()]

    def receipts(self) -> str:
        """Where this process looks for receipts, as its first message says."""
        return f"mpesa-receipts:{queued.arguments(eventually(self.messages)[0])['spool']}"

    def give_receipts(self) -> None:
        """What a worker does, so that nothing is published again."""
        if numbers := [one.number for one in self.spooled()]:
            self.queue.rpush(self.receipts(), *numbers)
        eventually(lambda: not self.spooled())


@contextmanager
def running(
    keys: dict[str, str],
    broker_url: str,
    spool: Path,
    *prefix: str,
    seen_through: str | None = None,
    processes: int = 1,
    **settings: str,
) -> Iterator[Webhooks]:
    """The webhook tier; `prefix` is a command that starts it in its own way.

    seen_through: how the test reaches the same broker, where that is another address.
    """
    port = free_port()
    environment = {**keys, "BROKER_URL": broker_url, "SPOOL_DIR": str(spool), **settings}
    process = subprocess.Popen(
        (*prefix, *webhooks_command(port, processes)),
        env={**os.environ, **environment},
        start_new_session=True,
    )
    webhooks = Webhooks(
        f"http://127.0.0.1:{port}",
        CallbackSigner((parse_key(keys["CALLBACK_KEYS"]),)),
        parse_sealer(keys["SEALING_KEYS"]),
        spool,
        redis.Redis.from_url(seen_through or broker_url),
        process,
    )
    try:
        eventually(lambda: process.poll() is not None or is_live(webhooks.url))
        assert process.poll() is None
        yield webhooks
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            # The server waits for ever for a process of its own that was told to stop while it started.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answered(webhooks: Webhooks, body: bytes = BODY) -> requests.Response:
    """What the tier says to a callback for an attempt of its own."""
    return deliver(webhooks.address(uuid4()), body)


def is_live(url: str) -> bool:
    return is_answered(f"{url}/health/live")
