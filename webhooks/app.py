"""The Flask application, and the form of it that is served: see `webhooks_command` in ops/stack."""

import os
import signal
import threading
import time
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from mpesa_balance import logs
from mpesa_balance.environment import Reader, load_or_exit
from mpesa_balance.settings import WebhookSettings
from webhooks import exposition
from webhooks.bridge import Bridge
from webhooks.door import LONGEST_BODY, Door
from webhooks.ingress import Ingress
from webhooks.publisher import Publisher
from webhooks.strangers import Strangers
from webhooks.views import blueprint, register_refusals

logger = logs.get_logger(__name__)


def create_app(settings: WebhookSettings | None = None) -> Flask:
    """The application; without settings it reads them from the environment, or exits and says why."""
    settings = settings or load_or_exit(Reader.webhooks)
    logs.configure(settings.log_level, settings.log_format)
    app = Flask("webhooks", static_folder=None)
    app.extensions["door"] = Door(
        settings.callbacks, settings.address_policy, Strangers(settings.unknown_per_minute)
    )
    app.extensions["ingress"] = Ingress(settings.spool_directory, Publisher(settings.broker))
    app.register_blueprint(blueprint)
    register_refusals(app)
    # No view is a coroutine, and finding that out each time takes as long as finding the view.
    app.ensure_sync = lambda view: view  # type: ignore[method-assign, assignment]
    # Flask's own line names the address, and with it a token that is good.
    app.log_exception = _log_fault  # type: ignore[method-assign, assignment]
    # Each trusted proxy appends one address: ours is the one that the outermost of them added.
    # With no trusted proxy the header is a stranger's claim, and is not looked at.
    if hops := settings.trusted_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=0, x_host=0, x_port=0, x_prefix=0)  # type: ignore[method-assign]
    return app


def create_server() -> Bridge:
    """What the server serves; settings come from the environment."""
    threading.excepthook = _end_with_thread
    threading.Thread(target=_end_with_server, name="orphan watch", daemon=True).start()
    settings = load_or_exit(Reader.webhooks)
    directory = exposition.shared(settings.metrics)
    app = create_app(settings)
    exposition.expose(settings.metrics, directory, app.extensions["ingress"])
    return Bridge(app, LONGEST_BODY)


def _end_with_server() -> None:
    """A server that was killed leaves its processes listening, with old code and keys, beside the next."""
    server = os.getppid()
    while os.getppid() == server:
        time.sleep(1)
    logger.critical("server_gone", message="the server of this process is gone: it stops")
    os.kill(os.getpid(), signal.SIGTERM)


def _end_with_thread(failed: threading.ExceptHookArgs) -> None:
    """A process without one of its threads must not go on: the server starts another one."""
    exc_info = (failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    name = failed.thread.name if failed.thread else None
    logger.critical("thread_failed", thread=name, message="this process ends", exc_info=exc_info)
    os._exit(os.EX_SOFTWARE)


def _log_fault(fault: Any) -> None:
    logger.error("view_failed", exc_info=fault)
