"""Registering an app or a shortcode in the name of whoever types, with its entry in the audit trail."""

from mpesa_balance import apps, audit, shortcodes
from mpesa_balance.apps import App
from mpesa_balance.audit import Action
from mpesa_balance.cli.acting import actor
from mpesa_balance.database import Connection
from mpesa_balance.sealing import Sealer
from mpesa_balance.shortcodes import Shortcode


def add_app(connection: Connection, sealer: Sealer, app: App, *, replace: bool) -> None:
    """Register an app. Raises RequestRefused."""
    is_new = apps.add(connection, sealer, app, replace=replace)
    action = Action.APP_ADDED if is_new else Action.APP_REPLACED
    # With four decimals, as it is stored: with two it would be taken for an amount and left out.
    rate = f"{app.requests_per_second:.4f} requests per second"
    audit.add(connection, actor(), action, app.name, f"{app.environment}, {app.base_url}, {rate}")


def add_shortcode(connection: Connection, sealer: Sealer, entry: Shortcode, *, replace: bool) -> None:
    """Register a shortcode. Raises NotFound or RequestRefused."""
    is_new = shortcodes.add(connection, sealer, entry, replace=replace)
    action = Action.SHORTCODE_ADDED if is_new else Action.SHORTCODE_REPLACED
    kind = entry.credential_kind.replace("_", " ")
    detail = f"app {entry.app}, type {entry.identifier_type}, initiator {entry.initiator}, {kind} given"
    audit.add(connection, actor(), action, entry.shortcode, detail)
