"""Running the simulator: its settings, and a server for them."""

import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler

from ops.simulator.bank import Bank
from ops.simulator.control import Control, create_blueprint
from ops.simulator.courier import Courier
from ops.simulator.delays import Delays
from ops.simulator.gateway import AFTERWARDS, Gateway, create_app
from ops.simulator.initiator import Initiator
from ops.simulator.keys import KeyPair
from ops.simulator.ledger import Ledger
from ops.simulator.limits import Limits
from ops.simulator.mpesa import Mpesa
from ops.simulator.plan import Plan, read_plan_file
from ops.simulator.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Who may ask, and how the simulator behaves. Times are in seconds; port 0 takes a free one.

    callback_delay, callback_spread: the median of the delays, and the sigma of their logarithm.
    late_seconds: when the result of `after-deadline` comes; longer than a query waits.
    requests_per_second, quota: what the gateway lets through; None is no limit.
    lock_after: how many wrong passwords in a row lock the initiator.
    drip_seconds: how long the answer of `drip` takes; longer than any client waits.
    scenarios: a file with a plan; see `plan.read_plan`.
    ledger_size: how many entries the ledger keeps.
    """

    host: str = "127.0.0.1"
    port: int = 8081
    consumer_key: str = field(default="simulator-key", repr=False)
    consumer_secret: str = field(default="simulator-secret", repr=False)
    initiator: str = "testapi"
    initiator_password: str = field(default="Simulated1!", repr=False)
    token_seconds: int = 3599
    callback_delay: float = 1.0
    callback_spread: float = 0.3
    late_seconds: float = 660.0
    requests_per_second: int | None = None
    quota: int | None = None
    lock_after: int = 3
    drip_seconds: float = 60.0
    scenarios: Path | None = None
    seed: int = 2026
    key_file: Path | None = None
    ledger_size: int = 100_000


def create_server(settings: SimulatorSettings) -> BaseWSGIServer:
    """A server that listens; `serve_forever` runs it, and closing it ends what still waits.

    Raises OSError where the port is taken, RequestRefused where the plan is wrong and
    MpesaBalanceError where the key cannot be kept.
    """
    plan = Plan(read_plan_file(settings.scenarios) if settings.scenarios else {})
    keys = KeyPair.kept_in(settings.key_file) if settings.key_file else KeyPair()
    # Bound here, because the server itself would print what is wrong and end the process.
    with socket.create_server((settings.host, settings.port)) as listening:
        return _Server(settings, _Simulator(settings, plan, keys), listening)


class _Simulator:
    """All parts, put together for one set of settings."""

    def __init__(self, settings: SimulatorSettings, plan: Plan, keys: KeyPair) -> None:
        self._closing = threading.Event()
        self._ledger = Ledger(settings.ledger_size)
        self._courier = Courier(self._ledger)
        tokens = Tokens(settings.token_seconds)
        limits = Limits(settings.requests_per_second, settings.quota)
        initiator = Initiator(settings.initiator, settings.initiator_password, keys, settings.lock_after)
        gateway = Gateway(
            consumer_key=settings.consumer_key,
            consumer_secret=settings.consumer_secret,
            tokens=tokens,
            limits=limits,
            plan=plan,
            mpesa=self._mpesa(settings, initiator),
            ledger=self._ledger,
            drip_seconds=settings.drip_seconds,
            closing=self._closing,
        )
        control = Control(
            keys=keys,
            plan=plan,
            tokens=tokens,
            limits=limits,
            initiator=initiator,
            ledger=self._ledger,
            courier=self._courier,
        )
        self.app: Flask = create_app(gateway, create_blueprint(control))

    def close(self) -> None:
        """End what drips, and forget what waits."""
        self._closing.set()
        self._courier.close()

    def _mpesa(self, settings: SimulatorSettings, initiator: Initiator) -> Mpesa:
        return Mpesa(
            bank=Bank(settings.seed),
            initiator=initiator,
            delays=Delays(settings.seed, settings.callback_delay, settings.callback_spread),
            late_seconds=settings.late_seconds,
            courier=self._courier,
        )


class _Handler(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """A line a request would drown what M-PESA has to say."""

    def run_wsgi(self) -> None:
        try:
            super().run_wsgi()
        finally:
            # Nothing is asked twice over one connection, also where nothing was answered.
            self.close_connection = True
            # Also where the client has gone: what M-PESA has taken, it answers.
            afterwards = getattr(self, "environ", {}).get(AFTERWARDS)
            if afterwards is not None:
                afterwards()


class _Server(ThreadedWSGIServer):
    _close: Callable[[], None] | None = None

    def __init__(
        self, settings: SimulatorSettings, simulator: _Simulator, listening: socket.socket
    ) -> None:
        port = listening.getsockname()[1]
        super().__init__(settings.host, port, simulator.app, _Handler, fd=listening.fileno())
        # Set only now: the constructor itself closes a socket that it does not need.
        self._close = simulator.close

    def server_close(self) -> None:
        super().server_close()
        if self._close is not None:
            self._close()

    def shutdown_request(self, request: Any) -> None:
        lingers, _ = struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
        if lingers:
            # To be reset: shutting the connection down first would end it politely.
            self.close_request(request)
        else:
            super().shutdown_request(request)
