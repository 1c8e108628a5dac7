"""Whether each Daraja app has the right host, a certificate that fits and credentials that mint a token."""

import base64
from typing import Final
from urllib.parse import urlsplit

from mpesa_balance import apps
from mpesa_balance.apps import BASE_URLS, PRODUCTION, App
from mpesa_balance.diagnosis import RegisteredApp
from mpesa_balance.errors import AppRefused, DarajaError, RequestRefused
from mpesa_balance.shortcodes import PASSWORD, Shortcode
from ops.doctor import commands
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok, warning
from worker.credentials import security_credential
from worker.daraja import Daraja

#: The shortest RSA key that Safaricom's own certificates have had, in bits.
SHORTEST_KEY: Final = 2048

#: As long as a worker waits at most (DARAJA_TIMEOUT_SECONDS), in seconds.
_PATIENCE: Final = 10

_HOSTS: Final = {urlsplit(url).hostname: environment for environment, url in BASE_URLS.items()}


def host(_: Patient, app: RegisteredApp) -> list[Opinion]:
    """Whether the app asks the Daraja of its own environment."""
    address = urlsplit(app.base_url).hostname
    belongs_to = _HOSTS.get(address)
    moved = commands.replace_app(app, BASE_URLS[app.environment])
    if belongs_to is None and app.environment == PRODUCTION:
        found = f"a production app asks {address}, which is no host of Safaricom's"
        return [warning(found, f"unless that is a proxy of yours, {moved}")]
    if belongs_to not in (None, app.environment):
        found = f"a {app.environment} app asks the host of the {belongs_to}, {address}"
        return [error(found, f"{moved}, or with --environment {belongs_to} if its keys are of that")]
    return [ok(f"it asks {address}")]


def certificate(_: Patient, app: RegisteredApp) -> list[Opinion]:
    """Whether a security credential can be made for it, with a key that is long enough."""
    whose = f"the {app.environment}'s own certificate" if app.certificate is None else "its certificate"
    remedy = f"{commands.replace_app(app)} with the certificate of its environment from the Daraja portal"
    try:
        bits = _key_bits(app)
    except (RequestRefused, OSError) as problem:
        return [error(f"{whose} cannot be used: {problem}", remedy)]
    if bits < SHORTEST_KEY:
        found = f"{whose} has a key of {bits} bits, and Safaricom's have {SHORTEST_KEY}"
        return [error(found, remedy)]
    found = f"{whose} has a key of {bits} bits; its dates do not matter"
    return [ok(f"{found}: Safaricom's own have expired and are in use")]


def token(patient: Patient, app: RegisteredApp) -> list[Opinion]:
    """Whether Daraja gives it a token, now. The token is not kept."""
    with patient.reading() as connection:
        opened = apps.named(connection, patient.sealer, app.name)
    try:
        Daraja(_PATIENCE).mint(opened)
    except DarajaError as fault:
        return [error(*_no_token(app, fault))]
    return [ok("Daraja gave it an access token")]


def _no_token(app: RegisteredApp, fault: DarajaError) -> tuple[str, str]:
    """What was found and what to do, by the class of what came back."""
    again = commands.replace_app(app)
    if isinstance(fault, AppRefused):
        portal = f"copy both from the app's page on the Daraja portal, where {app.environment} has its own"
        return f"wrong consumer key or secret: {fault}", f"{portal}, and {again}"
    if fault.http_status is None:
        way = f"let this host reach {app.base_url} (name resolution, outgoing HTTPS, proxy)"
        return f"no token: {fault}", f"{way}: `curl --head {app.base_url}`; a wrong address: {again}"
    busy = f"wait a few minutes; if it stays so, correct the address: {again}"
    return f"no token, HTTP {fault.http_status}: {fault}", busy


def _key_bits(app: RegisteredApp) -> int:
    """How long the key is that a worker would encrypt a password with: as long as what it makes."""
    anybody = App(
        name=app.name,
        environment=app.environment,
        base_url=app.base_url,
        certificate=app.certificate,
        consumer_key="",
        consumer_secret="",
    )
    entry = Shortcode(
        shortcode="",
        app=app.name,
        identifier_type=4,
        initiator="",
        credential_kind=PASSWORD,
        credential="x",
    )
    return len(base64.b64decode(security_credential(entry, anybody))) * 8
