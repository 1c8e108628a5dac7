"""Running things: the whole stack, the demo, the simulator, migrations, keys.

These start programs that live beside the library in a checkout or the image, not in the wheel.
"""

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import click

from mpesa_balance import logs
from mpesa_balance.errors import MpesaBalanceError
from mpesa_balance.sealing import new_key
from mpesa_balance.settings import Reader, load

_SIMULATOR_SECRETS: Final = {
    "consumer_secret": "SIMULATOR_CONSUMER_SECRET",
    "initiator_password": "SIMULATOR_INITIATOR_PASSWORD",
}

_state_dir = click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".state"),
    show_default=True,
    envvar="MPESA_BALANCE_STATE_DIR",
    help="Where the stack keeps its data.",
)


@click.command()
@_state_dir
@click.option("--daraja-url", help="Use the Daraja there instead of starting the simulator.")
@click.option("--webhook-port", default=0, help="8080 if it is free, else any.")
@click.option("--flower-port", default=0, help="5555 if it is free, else any.")
def up(**options: Any) -> None:
    """Run the whole system in the foreground until Ctrl-C.

    DATABASE_URL and BROKER_URL, where they are set, are used instead of the embedded servers.
    """
    stack = _program("ops.stack.up")
    if not stack.up(stack.UpOptions(**options)):
        click.get_current_context().exit(1)


@click.command()
@_state_dir
def demo(state_dir: Path) -> None:
    """Bring the system up, ask for one balance, print it and stop."""
    _program("ops.demo").demo(state_dir)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8081, show_default=True)
@click.option("--callback-delay", default=1.0, show_default=True, help="Seconds until a result is sent.")
@click.option("--seed", default=254, show_default=True, help="What the balances are drawn from.")
@click.option("--consumer-key", default="simulator-key", show_default=True)
@click.option("--initiator", default="testapi", show_default=True)
@click.option("--key-file", type=click.Path(dir_okay=False, path_type=Path), help="Keeps its key pair.")
def simulator(**options: Any) -> None:
    """Run a Daraja on loopback that answers as the real one does.

    SIMULATOR_CONSUMER_SECRET and SIMULATOR_INITIATOR_PASSWORD in the environment set its secrets.
    """
    logs.configure()
    program = _program("ops.simulator.server")
    secrets = {
        name: os.environ[variable]
        for name, variable in _SIMULATOR_SECRETS.items()
        if variable in os.environ
    }
    settings = program.SimulatorSettings(**options, **secrets)
    try:
        server = program.create_server(settings)
    except OSError as error:
        raise MpesaBalanceError(f"port {settings.port} cannot be used: choose another --port") from error
    click.echo(f"Daraja simulator on http://{settings.host}:{server.port}")
    server.serve_forever()


@click.command()
def migrate() -> None:
    """Bring the database to the newest migration. Safe to run twice, and from two machines at once."""
    applied = _program("ops.migrate").migrate(load(Reader.database).database_url)
    for name in applied:
        click.echo(f"Applied {name}.")
    if not applied:
        click.echo("The database is up to date.")


@click.group()
def keys() -> None:
    """Keys for sealing and for signing callback addresses."""


@keys.command("new")
def new() -> None:
    """Print a fresh key: CALLBACK_KEYS takes it as it is, SEALING_KEYS as id:key."""
    click.echo(new_key())


def _program(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise MpesaBalanceError(
            f"this command needs {missing.name}: run it from a checkout or the image, "
            "where `make demo` installs everything"
        ) from missing


COMMANDS: Final[tuple[Any, ...]] = (up, demo, simulator, migrate, keys)
