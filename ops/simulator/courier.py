"""The courier: callbacks on their way. Hundreds may wait for their moment; a few threads carry them."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import requests

from mpesa_balance import logs
from ops.simulator.ledger import LOST, Ledger, Outcome, Subject, without_path, without_secrets
from ops.simulator.payloads import Document

logger = logs.get_logger(__name__)

#: How many callbacks are sent at a time.
_CARRIERS: Final = 16

#: How long the other side may take to connect, and to answer, in seconds.
_PATIENCE: Final = 5

_HEADERS: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A document for an address, `delay` seconds after whatever comes before it.

    `kind` is "result" or "timeout".
    """

    delay: float
    kind: str
    url: str = field(repr=False)
    document: Document = field(repr=False)
    subject: Subject


class Courier:
    """Sends callbacks, each once: the real one promises no second delivery.

    An event loop in a daemon thread does the waiting. `close` forgets what still waits.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pool = ThreadPoolExecutor(_CARRIERS, "callback")
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._lock = threading.Lock()
        self._pending = 0
        self._is_closed = False
        threading.Thread(target=self._run, name="courier", daemon=True).start()

    @property
    def pending(self) -> int:
        """How many callbacks have been promised and not been sent."""
        with self._lock:
            return self._pending

    def promise(self, callbacks: Sequence[Callback]) -> Callable[[], None]:
        """Count callbacks as pending, and give what sets them off: one after the other was answered."""
        with self._lock:
            self._pending += len(callbacks)
        return lambda: self._set_off(callbacks)

    def send(self, callback: Callback) -> None:
        """Send one now, and wait for its answer."""
        status = _post(callback)
        outcome = Outcome(
            status=status,
            url_kind=callback.kind,
            url=without_path(callback.url),
            body=without_secrets(callback.document),
        )
        self._ledger.write("callback", callback.subject, outcome)
        logger.info("called_back", kind=callback.kind, scenario=callback.subject.scenario, answer=status)

    def close(self) -> None:
        """End the threads. Safe to call twice."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._loop.call_soon_threadsafe(self._closing.set)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _set_off(self, callbacks: Sequence[Callback]) -> None:
        with self._lock:
            if not self._is_closed and callbacks:
                asyncio.run_coroutine_threadsafe(self._carry(callbacks), self._loop)

    async def _carry(self, callbacks: Sequence[Callback]) -> None:
        for callback in callbacks:
            await asyncio.sleep(callback.delay)
            await self._loop.run_in_executor(self._pool, self.send, callback)
            with self._lock:
                self._pending -= 1

    def _run(self) -> None:
        # The runner cancels what still waits when it ends.
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._closing.wait())


def _post(callback: Callback) -> int | str:
    body = json.dumps(callback.document).encode()
    # A connection of its own: one that is kept open may be closed by the other side just then.
    with requests.Session() as session:
        # What a proxy of the host would do to callbacks has nothing to do with Daraja.
        session.trust_env = False
        try:
            with session.post(
                callback.url,
                data=body,
                headers=_HEADERS,
                timeout=_PATIENCE,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return answer.status_code
        except (requests.RequestException, ValueError) as error:
            # An address that cannot be used is a ValueError in some of its forms.
            logger.warning("callback_lost", error_type=type(error).__name__)
            return LOST
