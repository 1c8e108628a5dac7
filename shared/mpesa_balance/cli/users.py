"""People in the console: users add, list, change, disable, enable, link; and their API tokens."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final, TypeVar
from uuid import UUID

import click

from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.database import Connection
from mpesa_balance.environment import Reader, load
from mpesa_balance.errors import RequestRefused
from mpesa_balance.people import administration, api_tokens, users
from mpesa_balance.people.links import LASTS_HOURS
from mpesa_balance.people.roles import Role

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)


@click.group("users")
def users_group() -> None:
    """Who may look at what in the console and over its API."""


def _scope(command: FC) -> FC:
    """The options that say what somebody is, and which shortcodes he sees."""
    every = click.option("--every-shortcode", is_flag=True, help="Also those that are registered later.")
    some = click.option("--shortcode", "only", multiple=True, help="May be given several times.")
    role = click.option("--role", type=click.Choice([str(one) for one in Role]), required=True)
    return role(some(every(command)))


@users_group.command("add")
@click.argument("name")
@_scope
@output.as_json
def add_user(name: str, role: str, only: tuple[str, ...], every_shortcode: bool, json_output: bool) -> None:
    """Make an account, and print the one-time link with which NAME sets a password."""
    shortcodes = _shortcodes(only, every_shortcode)
    with _connection() as connection:
        path = administration.add(connection, actor(), name, Role(role), shortcodes)
        _tell_link(name, path, json_output)


@users_group.command("change")
@click.argument("name")
@_scope
@output.as_json
def change_user(
    name: str, role: str, only: tuple[str, ...], every_shortcode: bool, json_output: bool
) -> None:
    """Give NAME another role and other shortcodes, from his next click on."""
    shortcodes = _shortcodes(only, every_shortcode)
    with _connection() as connection:
        administration.change(connection, actor(), name, Role(role), shortcodes)
        document = users.named(connection, name).document()
    output.report(f"{name} is {administration.told(role, shortcodes)}.", document, json_output)


@users_group.command("list")
@output.as_json
def list_users(json_output: bool) -> None:
    """Show all accounts."""
    with _connection() as connection:
        found = users.every(connection)
    rows = [
        (
            *(one.name, one.role, "all" if one.shortcodes is None else " ".join(one.shortcodes)),
            *("disabled" if one.disabled_at else "", output.moment(one.seen_at)),
        )
        for one in found
    ]
    columns = ("Name", "Role", "Shortcodes", "", "Last seen")
    output.write_list(columns, rows, [one.document() for one in found], json_output)


@users_group.command("disable")
@click.argument("name")
@output.as_json
def disable_user(name: str, json_output: bool) -> None:
    """Sign NAME out everywhere and let him in no more, nor his API tokens."""
    with _connection() as connection:
        administration.disable(connection, actor(), name)
    output.report(f"{name} is disabled.", {"name": name, "disabled": True}, json_output)


@users_group.command("enable")
@click.argument("name")
@output.as_json
def enable_user(name: str, json_output: bool) -> None:
    """Let NAME in again, with the password and the API tokens that he had."""
    with _connection() as connection:
        administration.enable(connection, actor(), name)
    output.report(f"{name} is enabled.", {"name": name, "disabled": False}, json_output)


@users_group.command("link")
@click.argument("name")
@output.as_json
def link_user(name: str, json_output: bool) -> None:
    """Print a new one-time link with which NAME sets a password; the one before is void."""
    with _connection() as connection:
        path = administration.link(connection, actor(), name)
        _tell_link(name, path, json_output)


@users_group.command("forget-sign-on")
@click.argument("name")
@output.as_json
def forget_sign_on(name: str, json_output: bool) -> None:
    """Forget whom the provider of single sign-on meant by NAME: whoever comes next by that name is it."""
    with _connection() as connection:
        administration.forget_sign_on(connection, actor(), name)
    output.report(f"Who comes as {name} next is {name}.", {"name": name}, json_output)


@users_group.command("token")
@click.argument("name")
@click.option("--label", required=True, help="What it is for.")
@click.option("--days", type=int, default=90, show_default=True, help="How long it lasts.")
@output.as_json
def make_token(name: str, label: str, days: int, json_output: bool) -> None:
    """Make an API token of NAME and print it, this once."""
    with _connection() as connection:
        token = administration.make_token(connection, actor(), name, label, days)
    output.report(token, {"user": name, "label": label, "token": token}, json_output)


@users_group.command("tokens")
@click.argument("name", required=False)
@output.as_json
def list_tokens(name: str | None, json_output: bool) -> None:
    """Show the API tokens of NAME, or of everybody, without their secrets."""
    with _connection() as connection:
        if name is not None:
            users.named(connection, name)
        found = api_tokens.listed(connection, name)
    rows = [
        (
            *(str(one.id), one.user_name, one.label),
            *map(output.moment, (one.created_at, one.ends_at, one.used_at, one.revoked_at)),
        )
        for one in found
    ]
    columns = ("Id", "User", "Label", "Made", "Ends", "Last used", "Revoked")
    output.write_list(columns, rows, [one.document() for one in found], json_output)


@users_group.command("revoke")
@click.argument("token_id", type=click.UUID)
@output.as_json
def revoke_token(token_id: UUID, json_output: bool) -> None:
    """Let nobody in any more with the API token TOKEN_ID."""
    with _connection() as connection:
        revoked = administration.revoke_token(connection, actor(), token_id)
    output.report(f"{revoked.label} of {revoked.user_name} is revoked.", revoked.document(), json_output)


@contextmanager
def _connection() -> Iterator[Connection]:
    with closing(stores.database()) as database, database.transaction() as connection:
        yield connection


def _shortcodes(only: tuple[str, ...], every_shortcode: bool) -> tuple[str, ...] | None:
    if every_shortcode is bool(only):
        raise RequestRefused(
            ["say what may be seen: --every-shortcode, or --shortcode once or several times"]
        )
    return None if every_shortcode else only


def _tell_link(name: str, path: str, json_output: bool) -> None:
    link = load(Reader.console_url) + path
    output.report(
        f"For {name}, once, within {LASTS_HOURS} hours: {link}", {"name": name, "link": link}, json_output
    )


COMMANDS: Final[tuple[Any, ...]] = (users_group,)
