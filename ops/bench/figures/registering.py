"""Shortcodes of a house that is measured: any number, registered in bulk with sealed credentials."""

import base64
from collections.abc import Iterator
from typing import Final

from mpesa_balance import apps
from mpesa_balance.apps import App
from mpesa_balance.database import Connection
from mpesa_balance.sealing import Sealer
from mpesa_balance.shortcodes import SECURITY_CREDENTIAL, credential_place

APP: Final = "measured"

#: More than any machine of ours sends: what is measured with it never waits for its turn.
UNBOUNDED: Final = 99_999

#: What a portal would have made; no RSA of ours is measured then.
_CREDENTIAL: Final = base64.b64encode(bytes(range(256))).decode()

_FIRST: Final = 100_000


def shortcode(number: int) -> str:
    """The shortcode with this number; the first one is 0."""
    return str(_FIRST + number)


def register(connection: Connection, sealer: Sealer, many: int, rate: int) -> None:
    """Register an app that may send `rate` requests a second, and so many shortcodes of it."""
    app = App(
        name=APP,
        environment=apps.SANDBOX,
        base_url="http://127.0.0.1:1",
        consumer_key="key",
        consumer_secret="secret",  # noqa: S106 - nobody asks for what it opens
    )
    apps.add(connection, sealer, app)
    # The command line takes none that is unbounded.
    connection.execute("UPDATE daraja_apps SET requests_per_second = %s WHERE name = %s", (rate, APP))
    with connection.cursor().copy(_COPY) as copied:
        for row in _rows(sealer, many):
            copied.write_row(row)
    connection.execute("ANALYZE shortcodes")


def _rows(sealer: Sealer, many: int) -> Iterator[tuple[object, ...]]:
    for number in range(many):
        name = shortcode(number)
        sealed = sealer.seal_text(_CREDENTIAL, credential_place(name))
        yield name, APP, 4, "measured", SECURITY_CREDENTIAL, sealed


_COPY: Final = """
    COPY shortcodes (shortcode, app, identifier_type, initiator, credential_kind, credential) FROM STDIN
"""
