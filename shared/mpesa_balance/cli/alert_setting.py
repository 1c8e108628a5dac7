"""What alerts there are to be, and who is told of them: alerts rules and alerts channels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from mpesa_balance import alert_channels, alert_checks, alert_rulebook, audit
from mpesa_balance.alert_channels import DEFAULT_TIME_ZONE, Channel
from mpesa_balance.alert_rules import Kind, Rule
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, prompting, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.database import Connection
from mpesa_balance.errors import RequestRefused

T = TypeVar("T")

#: What a rule is about that is of no single shortcode.
EVERY: Final = "every shortcode"

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("rules")
def rules_group() -> None:
    """What is looked at, and when somebody is told."""


@rules_group.command("add")
@click.argument("kind", metavar="KIND")
@click.option("--shortcode", help="Of one shortcode; every one by default.")
@click.option("--account", help="Of one account, such as 'Utility Account'; each by itself by default.")
@click.option("--threshold", "--below", "threshold", help="below, above: the available amount.")
@click.option("--clear-at", help="below, above: over when the amount is back at this; the threshold.")
@click.option("--amount", help="change, drop: by more than this amount.")
@click.option("--percent", help="change, drop: by more than this percentage.")
@click.option("--minutes", help="stale: without a balance for so long; drop: within so long.")
@click.option("--urgent", is_flag=True, help="Also in quiet hours.")
@click.option("--channel", "channels", multiple=True, help="May be given several times; all by default.")
@output.as_json
def add_rule(
    kind: str,
    shortcode: str | None,
    account: str | None,
    urgent: bool,
    channels: tuple[str, ...],
    json_output: bool,
    **limits: str | None,
) -> None:
    """Add a rule of a KIND: below, above, change, drop, stale, or the name of an event."""
    database = stores.database()
    with database.transaction() as connection:
        rule = alert_rulebook.add(
            connection,
            database.sealer,
            kind=kind,
            shortcode=shortcode,
            account=account,
            limits=limits,
            urgent=urgent,
            channels=channels,
        )
        _note(connection, Action.ALERT_RULE_ADDED, rule.shortcode or EVERY, f"rule {rule.id}, {rule.kind}")
    output.report(f"Rule {rule.id} holds from now on.", _rule_document(rule), json_output)


add_rule.epilog = f"Kinds: {', '.join(Kind)}."


@rules_group.command("list")
@output.as_json
def list_rules(json_output: bool) -> None:
    """Show the rules."""
    database = stores.database()
    with database.transaction() as connection:
        found = alert_rulebook.every(connection, database.sealer)
    columns = ("Rule", "Kind", "Shortcode", "Account", "Limits", "Urgent", "Channels")
    output.write_list(columns, map(_rule_row, found), list(map(_rule_document, found)), json_output)


@rules_group.command("remove")
@click.argument("rule_id", type=click.IntRange(min=1))
@output.as_json
def remove_rule(rule_id: int, json_output: bool) -> None:
    """Remove a rule; what it has raised is over."""
    with stores.database().transaction() as connection:
        shortcode = alert_rulebook.remove(connection, rule_id)
        _note(connection, Action.ALERT_RULE_REMOVED, shortcode or EVERY, f"rule {rule_id}")
    output.report(f"Rule {rule_id} is removed.", {"id": rule_id}, json_output)


@click.group("channels")
def channels_group() -> None:
    """The ways to the people on call."""


@channels_group.command("add")
@click.argument("name")
@click.option("--url-file", type=_FILE, help="Holds the apprise URL. Else MPESA_ALERT_URL, else a prompt.")
@click.option(
    "--with-amounts", is_flag=True, help="Messages hold amounts, and leave this system with them."
)
@click.option("--quiet", metavar="22:00-06:00", help="When only urgent alerts are told.")
@click.option("--time-zone", default=DEFAULT_TIME_ZONE, show_default=True, help="Of the quiet hours.")
@click.option("--replace", is_flag=True, help="Change a channel that is there already.")
@output.as_json
def add_channel(
    name: str,
    url_file: Path | None,
    with_amounts: bool,
    quiet: str | None,
    time_zone: str,
    replace: bool,
    json_output: bool,
) -> None:
    """Add a channel under NAME; ops/docs/alerts.md has examples of its URL.

    `mpesa-balance alerts test NAME` says whether it works.
    """
    wrong: list[str] = []
    url = _tried(lambda: _url(url_file), wrong)
    hours = _tried(lambda: alert_checks.read_quiet_hours(quiet), wrong)
    channel = Channel(name=name, url=url or "", with_amounts=with_amounts, quiet=hours, time_zone=time_zone)
    database = stores.database()
    with database.transaction() as connection:
        alert_channels.add(connection, database.sealer, channel, replace=replace, wrong=wrong)
        action = Action.ALERT_CHANNEL_REPLACED if replace else Action.ALERT_CHANNEL_ADDED
        _note(connection, action, f"channel {name}")
    sentence = f"Channel {name} is added. Try it: mpesa-balance alerts test {name}"
    output.report(sentence, _channel_document(channel), json_output)


@channels_group.command("list")
@output.as_json
def list_channels(json_output: bool) -> None:
    """Show the channels; their URLs are never shown, only what kind they are."""
    database = stores.database()
    with database.transaction() as connection:
        found = [_channel_document(one) for one in alert_channels.every(connection, database.sealer)]
    rows = [tuple("" if value is None else str(value) for value in one.values()) for one in found]
    columns = ("Channel", "Service", "With amounts", "Quiet hours", "Time zone")
    output.write_list(columns, rows, found, json_output)


@channels_group.command("remove")
@click.argument("name")
@output.as_json
def remove_channel(name: str, json_output: bool) -> None:
    """Remove a channel; what waited to be told through it is told no more."""
    with stores.database().transaction() as connection:
        alert_channels.remove(connection, name)
        _note(connection, Action.ALERT_CHANNEL_REMOVED, f"channel {name}")
    output.report(f"Channel {name} is removed.", {"name": name}, json_output)


def _note(connection: Connection, action: Action, subject: str, detail: str = "") -> None:
    audit.add(connection, actor(), action, subject, detail)


def _url(file: Path | None) -> str:
    url = prompting.secret("MPESA_ALERT_URL", "Apprise URL", file)
    # Here and not above: apprise is slow to import, and nearly every command does without.
    from mpesa_balance import sending

    sending.check_url(url)
    return url


def _tried(read: Callable[[], T], wrong: list[str]) -> T | None:
    """What `read` gives; what it refuses is said later, together with everything else."""
    try:
        return read()
    except RequestRefused as refused:
        wrong += refused.violations
        return None


def _rule_document(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "kind": rule.kind,
        "shortcode": rule.shortcode,
        "account": rule.account,
        "limits": rule.limits.document(),
        "urgent": rule.urgent,
        "channels": list(rule.channels) if rule.channels else None,
    }


def _rule_row(rule: Rule) -> tuple[str, ...]:
    return (
        str(rule.id),
        rule.kind,
        rule.shortcode or "every",
        rule.account or "any",
        ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in rule.limits.document().items()),
        "yes" if rule.urgent else "",
        ", ".join(rule.channels or ("all",)),
    )


def _channel_document(channel: Channel) -> dict[str, Any]:
    quiet = channel.quiet
    return {
        "name": channel.name,
        # What stands before "://" is the name of a service; all else may be a credential.
        "service": channel.url.partition("://")[0],
        "with_amounts": channel.with_amounts,
        "quiet": f"{quiet.begins:%H:%M}-{quiet.ends:%H:%M}" if quiet else None,
        "time_zone": channel.time_zone,
    }
