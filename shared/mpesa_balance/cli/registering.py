"""Who is asked: apps and shortcodes. Secrets come from a prompt, a file or the environment."""

from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click

from mpesa_balance import apps, audit, breaker, passwords, shortcodes
from mpesa_balance.apps import BASE_URLS, DEFAULT_RATE, App
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, prompting, registration, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.cli.scheduling import schedule_group
from mpesa_balance.daraja_request import IDENTIFIER_TYPES
from mpesa_balance.shortcodes import Shortcode

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("apps")
def apps_group() -> None:
    """The Daraja apps whose keys we hold."""


@apps_group.command("add")
@click.argument("name")
@click.option("--environment", type=click.Choice(list(BASE_URLS)), required=True)
@click.option("--base-url", help="Where this Daraja is; the environment's own by default.")
@click.option("--certificate", type=_FILE, help="For security credentials; the environment's by default.")
@click.option("--consumer-key-file", type=_FILE, help="Else MPESA_CONSUMER_KEY, else a prompt.")
@click.option("--consumer-secret-file", type=_FILE, help="Else MPESA_CONSUMER_SECRET, else a prompt.")
@click.option(
    "--requests-per-second",
    type=float,
    help=f"What Daraja lets this app send, all workers together; {DEFAULT_RATE}, or what it was before.",
)
@click.option("--replace", is_flag=True, help="Change an app that is registered already.")
@output.as_json
def add_app(
    name: str,
    environment: str,
    base_url: str | None,
    certificate: Path | None,
    consumer_key_file: Path | None,
    consumer_secret_file: Path | None,
    requests_per_second: float | None,
    replace: bool,
    json_output: bool,
) -> None:
    """Register a Daraja app under NAME (lowercase letters, digits and hyphens)."""
    # Asked for before the transaction, which must not wait for a person.
    key = prompting.secret("MPESA_CONSUMER_KEY", "Consumer key", consumer_key_file)
    secret = prompting.secret("MPESA_CONSUMER_SECRET", "Consumer secret", consumer_secret_file)
    database = stores.database()
    with database.transaction() as connection:
        rate = requests_per_second
        app = App(
            name=name,
            environment=environment,
            base_url=base_url or BASE_URLS[environment],
            certificate=certificate.read_bytes() if certificate else None,
            consumer_key=key,
            consumer_secret=secret,
            requests_per_second=apps.rate_of(connection, name) if rate is None else Decimal(str(rate)),
        )
        registration.add_app(connection, database.sealer, app, replace=replace)
    output.report(f"App {name} is registered.", _app_document(app), json_output)


@apps_group.command("list")
@output.as_json
def list_apps(json_output: bool) -> None:
    """Show the apps."""
    database = stores.database()
    with database.transaction() as connection:
        found = apps.every(connection, database.sealer)
    documents = [_app_document(app) for app in found]
    columns = ("Name", "Environment", "Base URL", "Requests per second")
    output.write_list(columns, [tuple(one.values()) for one in documents], documents, json_output)


@click.group("shortcodes")
def shortcodes_group() -> None:
    """The shortcodes, tills and MSISDNs that may be asked for."""


@shortcodes_group.command("add")
@click.argument("shortcode")
@click.option("--app", required=True, help="The registered app that may query it.")
@click.option("--initiator", required=True, help="The API operator's name on the M-PESA portal.")
@click.option(
    "--identifier-type",
    type=click.Choice([str(number) for number in IDENTIFIER_TYPES]),
    default="4",
    show_default=True,
    help=", ".join(f"{number} {what}" for number, what in IDENTIFIER_TYPES.items()),
)
@click.option("--password-file", type=_FILE, help="Else MPESA_INITIATOR_PASSWORD, else a prompt.")
@click.option("--security-credential-file", type=_FILE, help="A ready-made credential instead.")
@click.option("--replace", is_flag=True, help="Change a shortcode that is registered already.")
@output.as_json
def add_shortcode(
    shortcode: str,
    app: str,
    initiator: str,
    identifier_type: str,
    password_file: Path | None,
    security_credential_file: Path | None,
    replace: bool,
    json_output: bool,
) -> None:
    """Register SHORTCODE with the initiator who asks in its name."""
    if security_credential_file is not None:
        kind = shortcodes.SECURITY_CREDENTIAL
        credential = prompting.secret("", "Security credential", security_credential_file)
    else:
        kind = shortcodes.PASSWORD
        credential = prompting.secret("MPESA_INITIATOR_PASSWORD", "Initiator's password", password_file)
    entry = Shortcode(
        shortcode=shortcode,
        app=app,
        identifier_type=int(identifier_type),
        initiator=initiator,
        credential_kind=kind,
        credential=credential,
    )
    database = stores.database()
    with database.transaction() as connection:
        registration.add_shortcode(connection, database.sealer, entry, replace=replace)
    _report(f"Shortcode {shortcode} is registered.", shortcode, json_output)


@shortcodes_group.command("list")
@output.as_json
def list_shortcodes(json_output: bool) -> None:
    """Show the shortcodes."""
    database = stores.database()
    with database.transaction() as connection:
        found = shortcodes.every(connection, database.sealer)
    rows = [
        (
            entry.shortcode,
            IDENTIFIER_TYPES[entry.identifier_type],
            entry.app,
            entry.initiator,
            _password(entry.password_age_days or 0),
            entry.suspended_because or "",
        )
        for entry in found
    ]
    columns = ("Shortcode", "Type", "App", "Initiator", "Password", "Suspended because")
    output.write_list(columns, rows, [_document(entry) for entry in found], json_output)


@shortcodes_group.command("show")
@click.argument("shortcode")
@output.as_json
def show_shortcode(shortcode: str, json_output: bool) -> None:
    """Show one shortcode; its credential is never shown."""
    database = stores.database()
    with database.transaction() as connection:
        entry = shortcodes.named(connection, database.sealer, shortcode)
    document = _document(entry)
    if json_output:
        output.write_json(document)
    else:
        output.write_table(("", shortcode), output.fields(document))


@shortcodes_group.command("suspend")
@click.argument("shortcode")
@click.option("--because", default="suspended by hand", show_default=True)
@output.as_json
def suspend_shortcode(shortcode: str, because: str, json_output: bool) -> None:
    """Send nothing for SHORTCODE until it is resumed."""
    with stores.database().transaction() as connection:
        breaker.suspend(connection, shortcode, because)
        audit.add(connection, actor(), Action.SHORTCODE_SUSPENDED, shortcode, because)
    _report(f"Shortcode {shortcode} is suspended.", shortcode, json_output)


@shortcodes_group.command("resume")
@click.argument("shortcode")
@output.as_json
def resume_shortcode(shortcode: str, json_output: bool) -> None:
    """Let queries for SHORTCODE go on."""
    with stores.database().transaction() as connection:
        breaker.resume(connection, shortcode)
        audit.add(connection, actor(), Action.SHORTCODE_RESUMED, shortcode)
    _report(f"Shortcode {shortcode} is resumed.", shortcode, json_output)


def _password(days: int) -> str:
    return f"{days} days, {passwords.outlook(days)}"


def _app_document(app: App) -> dict[str, str]:
    return {
        "name": app.name,
        "environment": app.environment,
        "base_url": app.base_url,
        "requests_per_second": f"{app.requests_per_second.normalize():f}",
    }


def _report(sentence: str, shortcode: str, json_output: bool) -> None:
    """What was done to a shortcode, and how it stands now."""
    database = stores.database()
    with database.transaction() as connection:
        entry = shortcodes.named(connection, database.sealer, shortcode)
    output.report(sentence, _document(entry), json_output)


def _document(entry: Shortcode) -> dict[str, Any]:
    instants = {"credential_set_at": entry.credential_set_at, "suspended_at": entry.suspended_at}
    return {
        "shortcode": entry.shortcode,
        "identifier_type": entry.identifier_type,
        "app": entry.app,
        "initiator": entry.initiator,
        "credential_kind": entry.credential_kind,
        **{name: instant and instant.isoformat() for name, instant in instants.items()},
        "password_age_days": entry.password_age_days,
        "suspended_because": entry.suspended_because,
    }


shortcodes_group.add_command(schedule_group)

COMMANDS: Final[tuple[Any, ...]] = (apps_group, shortcodes_group)
