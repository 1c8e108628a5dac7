"""Running the simulator: its settings, and a server for them."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from ops.simulator.bank import Bank
from ops.simulator.gateway import Gateway, create_app
from ops.simulator.keys import KeyPair
from ops.simulator.mpesa import Mpesa


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Who may ask, and how the simulator behaves. Times are in seconds; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 8081
    consumer_key: str = field(default="simulator-key", repr=False)
    consumer_secret: str = field(default="simulator-secret", repr=False)
    initiator: str = "testapi"
    initiator_password: str = field(default="Simulated1!", repr=False)
    token_seconds: int = 3599
    callback_delay: float = 1.0
    seed: int = 2026
    key_file: Path | None = None


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """A line a request would drown what M-PESA has to say."""


def create_server(settings: SimulatorSettings) -> BaseWSGIServer:
    """A server that listens; `serve_forever` runs it. Raises OSError where the port is taken."""
    mpesa = Mpesa(
        bank=Bank(settings.seed),
        keys=KeyPair.kept_in(settings.key_file) if settings.key_file else KeyPair(),
        initiator=settings.initiator,
        password=settings.initiator_password,
        delay=settings.callback_delay,
    )
    gateway = Gateway(
        consumer_key=settings.consumer_key,
        consumer_secret=settings.consumer_secret,
        token_seconds=settings.token_seconds,
        mpesa=mpesa,
    )
    # Bound here, because the server itself would print what is wrong and end the process.
    listening = socket.create_server((settings.host, settings.port))
    with listening:
        return make_server(
            settings.host,
            listening.getsockname()[1],
            create_app(gateway),
            threaded=True,
            request_handler=_QuietHandler,
            fd=listening.fileno(),
        )
