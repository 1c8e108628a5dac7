"""Reading the audit trail: who asked, who looked, who changed what."""

from datetime import datetime
from typing import Any, Final

import click

from mpesa_balance import audit as trail
from mpesa_balance.audit import Action, Entry
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.times import at_or_ago


@click.command()
@click.option(
    "--since", callback=at_or_ago, metavar="TIME", help="Such as 2026-11-01, 2026-11-01T08:30, 12h or 7d."
)
@click.option("--actor", help="Any part of the name of who did it.")
@click.option("--action", type=click.Choice([str(one) for one in Action]), help="What was done.")
@click.option(
    "--subject", help="A shortcode, app, task, key or `callback NUMBER`; or a request's or query's id."
)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@output.as_json
def audit(since: datetime | None, action: str | None, json_output: bool, **filters: Any) -> None:
    """Show who asked, who looked and who changed what, newest first.

    It is only ever added to. Callers are called what they call themselves.
    """
    with stores.database().transaction() as connection:
        found = trail.entries(connection, since=since, action=Action(action) if action else None, **filters)
    columns = ("When", "Who", "What", "Whom", "Detail")
    output.write_list(columns, [_row(one) for one in found], [one.document() for one in found], json_output)


def _row(one: Entry) -> tuple[str, ...]:
    return output.moment(one.happened_at), one.actor, one.action, one.subject, one.detail


COMMANDS: Final[tuple[Any, ...]] = (audit,)
