"""The pages of the console: each module is one part of it, with its views."""

from flask import Flask

from ops.console.pages import (
    account,
    alerting,
    balances,
    exporting,
    inbox,
    people,
    queries,
    reconciling,
    shortcodes,
    signing,
)


def register(app: Flask) -> None:
    """Give the application all pages."""
    for page in (
        *(signing, balances, shortcodes, queries, inbox),
        *(alerting, reconciling, exporting, people, account),
    ):
        app.register_blueprint(page.blueprint)
