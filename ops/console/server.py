"""How gunicorn serves the console, here and under Docker: `gunicorn --config python:ops.console.server`."""

import socket
import struct
from typing import Any, Final

from mpesa_balance import logs
from mpesa_balance.environment import Reader, load_or_exit

wsgi_app: Final = "ops.console.app:create_app()"

# One process: what its pages follow is looked for once a second, and not by each of several.
workers: Final = 1
worker_class: Final = "gthread"

# Each page that follows changes holds a thread while it is open; changes.py says how many may.
threads: Final = 48

# A thread that is stuck is not noticed by this, but a process is, and is started anew.
timeout: Final = 30

# A stream that is open ends with its browser: a stop waits no longer for it.
graceful_timeout: Final = 3

# A browser comes back within seconds while somebody works with a page.
keepalive: Final = 10

# Whom to believe about where a request comes from, TRUSTED_PROXY_HOPS says.
forwarded_allow_ips: Final = ""

#: A client that sends nothing, or reads nothing, for so long holds no thread any more, in seconds.
_PATIENCE: Final = 20


def when_ready(server: Any) -> None:
    """Bound every single read and write: what a connection inherits from where it came in."""
    for listener in server.LISTENERS:
        for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, way, struct.pack("ll", _PATIENCE, 0))


# Nobody steers it but the supervisor.
control_socket_disable: Final = True

# Its lines in the form of ours.
logconfig_dict: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"house": {"()": lambda: logs.formatter(load_or_exit(Reader.log_format))}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "house"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        name: {"level": "WARNING", "handlers": [], "propagate": True}
        for name in ("gunicorn.error", "gunicorn.access")
    },
}
