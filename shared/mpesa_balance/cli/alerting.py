"""What the people on call are told: alerts list, ack and test."""

from typing import Any, Final
from uuid import UUID

import click

from mpesa_balance import alert_channels, alert_history, alert_texts, alerts, audit
from mpesa_balance.alert_history import Alert
from mpesa_balance.alert_rules import OF_ACCOUNTS
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor, user
from mpesa_balance.cli.alert_setting import channels_group, rules_group

_TEST_TITLE: Final = "M-PESA: a test of this channel"


@click.group("alerts")
def alerts_group() -> None:
    """What the people on call are told, by which rules, and through which channels."""


@alerts_group.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are over, newest first.")
@output.as_json
def list_alerts(everything: bool, json_output: bool) -> None:
    """Show the open alerts, newest first, with their amounts."""
    database = stores.database()
    with database.transaction() as connection:
        found = alert_history.listed(connection, database.sealer, everything=everything)
        for shortcode in sorted({one.shortcode or "" for one in found if one.kind in OF_ACCOUNTS}):
            audit.add(connection, actor(), Action.BALANCE_SHOWN, shortcode, "in its alerts")
    columns = ("Alert", "Since", "Shortcode", "Account", "What", "How it stands")
    output.write_list(columns, [_row(one) for one in found], [one.document() for one in found], json_output)


@alerts_group.command("ack")
@click.argument("alert_id", type=click.UUID)
@click.option("--by", default=user, help="Who does it; the name at this machine by default.")
@output.as_json
def acknowledge_alert(alert_id: UUID, by: str, json_output: bool) -> None:
    """Say that you know of an alert.

    Those about callbacks and quarantined tasks are over then; others end when what they tell of does.
    """
    with stores.database().transaction() as connection:
        is_over = alerts.acknowledge(connection, alert_id, by)
        audit.add(connection, actor(), Action.ALERT_ACKNOWLEDGED, f"alert {alert_id}", f"by {by}")
    sentence = f"Alert {alert_id} is acknowledged" + (", and over." if is_over else ".")
    output.report(sentence, {"id": str(alert_id), "acked_by": by, "is_over": is_over}, json_output)


@alerts_group.command("test")
@click.argument("channel")
@output.as_json
def test_channel(channel: str, json_output: bool) -> None:
    """Send a test message through CHANNEL now, and say what went wrong.

    It is run where the workers for submissions run: they alone reach the network outside.
    """
    database = stores.database()
    with database.transaction() as connection:
        found = alert_channels.named(connection, database.sealer, channel)
    # Here and not above: apprise is slow to import, and nearly every command does without.
    from mpesa_balance import sending

    sending.send(found.url, _TEST_TITLE, f"Channel {channel} of mpesa-balance works. Nothing is wrong.")
    output.report(f"Channel {channel} has taken a test message.", {"channel": channel}, json_output)


def _row(one: Alert) -> tuple[str, ...]:
    said = alert_texts.amounts(one.facts) or one.detail.get("message", "")
    return (
        str(one.id),
        output.moment(one.since),
        one.shortcode or "",
        one.account or "",
        f"{alert_texts.headline(one.facts)}. {said}".strip(),
        _standing(one),
    )


def _standing(one: Alert) -> str:
    parts = [f"over since {output.moment(one.cleared_at)}" if one.cleared_at else "open"]
    if one.acked_at:
        parts.append(f"known to {one.acked_by}")
    parts += [f"not told through {name}: {reason}" for name, reason in one.failing.items()]
    return "; ".join(parts)


alerts_group.add_command(rules_group)
alerts_group.add_command(channels_group)

COMMANDS: Final[tuple[Any, ...]] = (alerts_group,)
