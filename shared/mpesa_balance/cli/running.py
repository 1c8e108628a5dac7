"""Running things: the whole stack, the demo, the simulator, migrations."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from mpesa_balance import logs
from mpesa_balance.cli import output
from mpesa_balance.cli.programs import program
from mpesa_balance.environment import Reader, load
from mpesa_balance.errors import MpesaBalanceError

_SIMULATOR_SECRETS: Final = {
    "consumer_secret": "SIMULATOR_CONSUMER_SECRET",
    "initiator_password": "SIMULATOR_INITIATOR_PASSWORD",
}

_PORT: Final = click.IntRange(0, 65535)
_SECONDS: Final = click.FloatRange(min=0)
_AT_LEAST_ONE: Final = click.IntRange(min=1)

#: A function or a command that options are put on.
FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)

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
@click.option("--webhook-port", type=_PORT, default=0, help="8080 if it is free, else any.")
@click.option("--flower-port", type=_PORT, default=0, help="5555 if it is free, else any.")
@click.option("--console-port", type=_PORT, default=0, help="8090 if it is free, else any.")
def up(**options: Any) -> None:
    """Run the whole system in the foreground until Ctrl-C.

    DATABASE_URL and BROKER_URL, where they are set, are used instead of the embedded servers.
    """
    stack = program("ops.stack.up")
    if not stack.up(stack.UpOptions(**options)):
        click.get_current_context().exit(1)


@click.command()
@_state_dir
@output.as_json
def demo(state_dir: Path, json_output: bool) -> None:
    """Bring the system up, ask for one balance, print it and stop."""
    program("ops.demo").demo(state_dir, json_output=json_output)


def _setting(name: str, kind: Any, text: str) -> Callable[[FC], FC]:
    """An option of the simulator that SIMULATOR_... in the environment sets as well."""
    variable = f"SIMULATOR_{name.removeprefix('--').replace('-', '_').upper()}"
    return click.option(name, type=kind, envvar=variable, show_envvar=True, help=text)


@click.command()
@click.option("--host", help="Where to listen; loopback by default.")
@click.option("--port", type=_PORT, help="8081 by default.")
@click.option("--token-seconds", type=int, help="How long an access token lives; 3599 by default.")
@click.option("--consumer-key", help="The app's key; simulator-key by default.")
@click.option("--initiator", help="Who may ask; testapi by default.")
@click.option("--key-file", type=click.Path(dir_okay=False, path_type=Path), help="Keeps its key pair.")
@_setting("--seed", int, "What balances and delays are drawn from; 2026 by default.")
@_setting("--callback-delay", _SECONDS, "Median seconds until a callback is sent; 1 by default.")
@_setting("--callback-spread", _SECONDS, "Sigma of the delays' logarithm; 0.3 by default, 0 for none.")
@_setting("--late-seconds", _SECONDS, "When `after-deadline` sends its result; 660 by default.")
@_setting("--drip-seconds", _SECONDS, "How long `drip` takes to answer; 60 by default.")
@_setting("--requests-per-second", _AT_LEAST_ONE, "More than this is a spike arrest; no limit by default.")
@_setting("--quota", click.IntRange(min=0), "How many queries are taken; no limit by default.")
@_setting("--lock-after", _AT_LEAST_ONE, "Wrong passwords in a row that lock the initiator; 3 by default.")
@_setting(
    "--scenarios", click.Path(path_type=Path), "JSON file that says which shortcode gets which scenarios."
)
@click.option("--list", "listed", is_flag=True, help="Print the page about scenarios, and stop.")
def simulator(*, listed: bool, **options: Any) -> None:
    """Run a Daraja on loopback that behaves, and misbehaves, as the real one does.

    Which scenario a query gets depends on its shortcode: --list tells all, and how to choose.
    Its secrets are simulator-secret and Simulated1! unless SIMULATOR_CONSUMER_SECRET and
    SIMULATOR_INITIATOR_PASSWORD in the environment say otherwise. Register it with
    `apps add simulator --environment sandbox --base-url ... --certificate ...`; its certificate is
    at /simulator/certificate.
    """
    if listed:
        click.echo(program("ops.simulator.page").page(), nl=False)
        return
    logs.configure(load(Reader.log_level), load(Reader.log_format))
    simulating = program("ops.simulator.server")
    secrets = {name: os.environ.get(variable) for name, variable in _SIMULATOR_SECRETS.items()}
    given = {name: value for name, value in (options | secrets).items() if value is not None}
    settings = simulating.SimulatorSettings(**given)
    try:
        server = simulating.create_server(settings)
    except OSError as error:
        problem = f"{settings.host} port {settings.port} cannot be used ({error.strerror})"
        raise MpesaBalanceError(f"{problem}: choose another --host or --port") from error
    click.echo(f"Daraja simulator on http://{settings.host}:{server.port}")
    server.serve_forever()


@click.command()
@output.as_json
def migrate(json_output: bool) -> None:
    """Bring the database to the newest migration. Safe to run twice, and from two machines at once."""
    applied = program("ops.migrate").migrate(load(Reader.database_url))
    sentence = f"Applied {', '.join(applied)}." if applied else "The database is up to date."
    output.report(sentence, {"applied": applied}, json_output)


COMMANDS: Final[tuple[Any, ...]] = (up, demo, simulator, migrate)
