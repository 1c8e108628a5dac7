"""The commands that remedies tell to type, exactly as they must be typed."""

from shlex import quote

from mpesa_balance.apps import BASE_URLS
from mpesa_balance.diagnosis import RegisteredApp, RegisteredShortcode


def replace_app(app: RegisteredApp, base_url: str | None = None) -> str:
    """Register an app again, at its own or another address; it asks for the consumer key and secret."""
    typed = f"mpesa-balance apps add {app.name} --environment {app.environment}"
    # What is not given again falls back to the environment's own.
    if (address := base_url or app.base_url) != BASE_URLS[app.environment]:
        typed += f" --base-url {quote(address)}"
    if app.certificate is not None:
        typed += " --certificate FILE"
    return f"`{typed} --replace`"


def replace_shortcode(entry: RegisteredShortcode, app: str | None = None) -> str:
    """Register a shortcode again, under its own or another app; it asks for the initiator's password."""
    return (
        f"`mpesa-balance shortcodes add {entry.shortcode} --app {app or entry.app} "
        f"--initiator {quote(entry.initiator)} --identifier-type {entry.identifier_type} --replace`"
    )


def resume(entry: RegisteredShortcode) -> str:
    """Let queries for a shortcode go on."""
    return f"`mpesa-balance shortcodes resume {entry.shortcode}`"
