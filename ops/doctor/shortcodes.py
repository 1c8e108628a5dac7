"""How each shortcode is registered: under which app, with how old a password, suspended or not."""

from typing import Final

from mpesa_balance import passwords, shortcodes
from mpesa_balance.apps import PRODUCTION, SANDBOX
from mpesa_balance.cli.output import moment
from mpesa_balance.daraja_request import IDENTIFIER_TYPES
from mpesa_balance.diagnosis import RegisteredShortcode
from mpesa_balance.passwords import PASSWORD_LIFETIME_DAYS
from mpesa_balance.shortcodes import PASSWORD, Shortcode
from ops.doctor import commands, troubles
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok, warning

#: What Daraja's pages tell to avoid in an API operator's password.
_AVOIDED: Final = frozenset("@.")

_ANOTHER: Final = "have a Business Manager set another one on the M-PESA portal"


def registered(patient: Patient) -> list[Opinion]:
    """Whether there is anything to ask for. Raises NotFound where the named shortcode is not there."""
    count, app_count = len(patient.shortcodes), len(patient.apps)
    if not app_count:
        remedy = f"`mpesa-balance apps add NAME --environment {SANDBOX}`, or {PRODUCTION}"
        return [warning("no Daraja app is registered, so nothing can be asked for", remedy)]
    if not count:
        remedy = "`mpesa-balance shortcodes add SHORTCODE --app NAME --initiator NAME`"
        return [warning("no shortcode is registered, so there is nothing to ask for", remedy)]
    return [ok(f"apps registered: {app_count}; shortcodes looked at: {count}")]


def place(_: Patient, entry: RegisteredShortcode) -> list[Opinion]:
    """Which app and initiator ask for it, and whether a test number stands where real money is."""
    if entry.environment == PRODUCTION and entry.shortcode in troubles.SANDBOX_NUMBERS:
        found = f"a test number of the sandbox is registered under production app {entry.app}"
        cause = troubles.CAUSES[troubles.INVALID_SHORTCODE]
        moved = commands.replace_shortcode(entry, app="NAME_OF_A_SANDBOX_APP")
        return [error(f"{troubles.INVALID_SHORTCODE}: {found}", f"{cause}; {moved} moves it")]
    what = IDENTIFIER_TYPES[entry.identifier_type]
    found = f"registered as {what} under {entry.environment} app {entry.app}"
    return [ok(f"{found}, asked for by {entry.initiator}")]


def suspension(_: Patient, entry: RegisteredShortcode) -> list[Opinion]:
    """Whether queries for it are held back, and why."""
    if entry.suspended_because is None:
        return [ok("it is not suspended")]
    since, because = moment(entry.suspended_at), troubles.quoted(entry.suspended_because)
    remedy = f"mend what that names, then {commands.resume(entry)}"
    return [warning(f"suspended since {since}, nothing is asked for it: {because}", remedy)]


def password_age(patient: Patient, entry: RegisteredShortcode) -> list[Opinion]:
    """Whether the password, or the one in a ready-made credential, is about to run out."""
    with patient.reading() as connection:
        opened = shortcodes.named(connection, patient.sealer, entry.shortcode)
    days = opened.password_age_days or 0
    found = f"its password was registered {days} days ago; M-PESA's live {PASSWORD_LIFETIME_DAYS} days"
    outlook = passwords.outlook(days)
    if outlook == passwords.FRESH:
        return [ok(found)]
    said = error if outlook == passwords.EXPIRED else warning
    return [said(found, f"{_ANOTHER}, then {_replacement(opened, entry)}")]


def password_signs(patient: Patient, entry: RegisteredShortcode) -> list[Opinion]:
    """Whether the password has a sign that Daraja advises against."""
    with patient.reading() as connection:
        opened = shortcodes.named(connection, patient.sealer, entry.shortcode)
    if opened.credential_kind != PASSWORD:
        return [ok("its security credential is ready-made, so its password is not known here")]
    if _AVOIDED & set(opened.credential):
        remedy = f"{_ANOTHER} without '@' and '.', then {_replacement(opened, entry)}"
        return [warning("its password has a '@' or a '.', which Daraja says to avoid", remedy)]
    return [ok("its password has no sign that Daraja says to avoid")]


def _replacement(opened: Shortcode, entry: RegisteredShortcode) -> str:
    typed = commands.replace_shortcode(entry)
    if opened.credential_kind == PASSWORD:
        return typed
    return f"{typed} with --security-credential-file FILE, a new one from the Daraja portal"
