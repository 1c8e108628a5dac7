"""The command and its groups; what goes wrong becomes one line and an exit code."""

import os
import sys
from pathlib import Path
from typing import Any, Final

try:
    import click
    from dotenv import load_dotenv

    from mpesa_balance.cli import (
        alerting,
        asking,
        auditing,
        checking,
        doctoring,
        explaining,
        exporting,
        pruning,
        quarantining,
        receiving,
        reconciling,
        registering,
        rotating,
        running,
        users,
        watching,
    )
except ImportError as missing:
    sys.exit(f"{missing.name} is not installed: pip install 'mpesa-balance[cli]' brings the command")

from mpesa_balance.environment import EXIT_CONFIG
from mpesa_balance.errors import (
    MpesaBalanceError,
    NotFound,
    RequestRefused,
    SchemaOutdated,
    SettingsInvalid,
    Unavailable,
)

#: Where `mpesa-balance up` tells of a stack that was started from this folder.
DEFAULT_ENV_FILE: Final = Path(".state") / "stack.env"

#: Commands that start what others find in that file.
STARTING: Final = ("up", "demo", "simulator")

#: Exit codes, the first class that fits: 2 is Click's own for a wrong command line.
EXIT_CODES: Final[tuple[tuple[type[MpesaBalanceError], int], ...]] = (
    (SettingsInvalid, EXIT_CONFIG),
    (SchemaOutdated, EXIT_CONFIG),
    (NotFound, 4),
    (RequestRefused, 5),
    (Unavailable, 6),
    (MpesaBalanceError, 1),
)


class _Command(click.Group):
    """Turns our errors into one line on standard error and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MpesaBalanceError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(next(code for kind, code in EXIT_CODES if isinstance(error, kind)))


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="MPESA_BALANCE_ENV_FILE",
    help=f"File with settings; without it {DEFAULT_ENV_FILE} where a stack runs. The environment wins.",
)
@click.version_option(package_name="mpesa-balance")
def main(env_file: Path | None) -> None:
    """Ask M-PESA for account balances, and look after the system that does.

    Exit codes: 0 done, 1 failed, 2 wrong command line, 3 the query failed or timed out, or the book
    differs, 4 not found, 5 refused, 6 Postgres, Redis or a disk away, 78 settings wrong.
    """
    if not all(_is_text(argument) for argument in sys.argv):
        raise RequestRefused(["an argument is not valid UTF-8: check what was pasted"])
    command = click.get_current_context().invoked_subcommand
    # What brings a stack up must not take the address of the last one for servers it was given.
    default = None if command in STARTING else DEFAULT_ENV_FILE
    try:
        load_dotenv(env_file or default or os.devnull, override=False)
    except UnicodeDecodeError:
        raise SettingsInvalid(f"{env_file or default} is no file of settings: it is not UTF-8") from None


for module in (
    asking,
    alerting,
    receiving,
    quarantining,
    explaining,
    registering,
    rotating,
    pruning,
    reconciling,
    exporting,
    watching,
    users,
    auditing,
    doctoring,
    checking,
    running,
):
    for command in module.COMMANDS:
        main.add_command(command)
