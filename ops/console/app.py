"""The console's Flask application, as granian serves it: see `console_command` in ops/stack."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from mpesa_balance import logs
from mpesa_balance.client import BalanceClient
from mpesa_balance.database import Database
from mpesa_balance.environment import Reader, load_or_exit
from mpesa_balance.settings import ConsoleSettings
from ops.console import api, gate, headers, pages, refusals, shown, single_sign_on
from ops.console.changes import Changes
from ops.console.desk import EXTENSION, Desk
from ops.console.files_sent import AT_ONCE, Exports

logger = logs.get_logger(__name__)


def create_app(settings: ConsoleSettings | None = None) -> Flask:
    """The application; without settings it reads them from the environment, or exits and says why."""
    settings = settings or load_or_exit(Reader.console)
    logs.configure(settings.log_level, settings.log_format)
    app = Flask("ops.console")
    app.config.update(_configuration(settings))
    database = Database(settings.database, "mpesa-balance-console")
    client = BalanceClient(settings.broker.broker_url, name="console")
    changes = Changes(database)
    exports = Exports(Database(replace(settings.database, pool_size=AT_ONCE), "mpesa-balance-exports"))
    app.extensions[EXTENSION] = Desk(
        settings=settings, database=database, client=client, changes=changes, exports=exports
    )
    headers.tell(app, is_encrypted=settings.is_encrypted)
    shown.register(app)
    # In this order: nothing is read of what a stranger sends, and nothing is done by a forged form.
    gate.keep(app)
    api.register(app, CSRFProtect(app))
    gate.refuse_nul(app)
    refusals.register(app)
    pages.register(app)
    single_sign_on.register(app, settings.oidc)
    app.log_exception = _log_fault  # type: ignore[method-assign, assignment]
    if hops := settings.trusted_hops:
        # Each trusted proxy appends one address, and says whether the browser came encrypted.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_port=0, x_prefix=0)  # type: ignore[method-assign]
    return app


def _configuration(settings: ConsoleSettings) -> dict[str, Any]:
    first, *others = settings.keys
    return {
        "SECRET_KEY": first,
        # Older keys still open what they signed.
        "SECRET_KEY_FALLBACKS": others,
        # With the prefix a browser takes it from this host only, and over HTTPS only.
        "SESSION_COOKIE_NAME": "__Host-console" if settings.is_encrypted else "console",
        "SESSION_COOKIE_SECURE": settings.is_encrypted,
        "SESSION_COOKIE_HTTPONLY": True,
        # It does not come along from other sites, save where a link is followed to a page of ours.
        "SESSION_COOKIE_SAMESITE": "Lax",
        # Another name that leads here is somebody's who wants a browser to mix us up with himself.
        "TRUSTED_HOSTS": [urlsplit(settings.url).hostname, "127.0.0.1", "localhost"],
        # A form holds for as long as its session.
        "WTF_CSRF_TIME_LIMIT": None,
        # Forms and calls are small; gate.py lets a ledger be larger.
        "MAX_CONTENT_LENGTH": gate.LARGEST_FORM,
        "MAX_FORM_MEMORY_SIZE": gate.LARGEST_FORM,
    }


def _log_fault(fault: Any) -> None:
    logger.error("view_failed", exc_info=fault)
