"""Looking through the quarantine: tasks that ended their process again and again."""

from typing import Any, Final
from uuid import UUID

import click

from mpesa_balance import audit, quarantine
from mpesa_balance.audit import Action
from mpesa_balance.cli import output, stores
from mpesa_balance.cli.acting import actor
from mpesa_balance.quarantine import Quarantined


@click.group("quarantine")
def quarantine_group() -> None:
    """Tasks that ended their process three times, and were set aside."""


@quarantine_group.command("list")
@output.as_json
def list_tasks(json_output: bool) -> None:
    """Show what is in quarantine, oldest first."""
    database = stores.database()
    with database.transaction() as connection:
        found = quarantine.every(connection, database.sealer)
    rows = [(str(one.id), one.task, output.moment(one.quarantined_at), one.reason) for one in found]
    documents = [_document(one) for one in found]
    output.write_list(("Task", "Name", "Since", "Reason"), rows, documents, json_output)


@quarantine_group.command("drop")
@click.argument("task_id", type=click.UUID)
@output.as_json
def drop_task(task_id: UUID, json_output: bool) -> None:
    """Take a task out for good, and show what it was told to do.

    A request among them was refused when it was set aside: its caller asks anew.
    """
    database = stores.database()
    with database.transaction() as connection:
        dropped = quarantine.release(connection, database.sealer, task_id)
        audit.add(connection, actor(), Action.TASK_DROPPED, str(task_id), dropped.task)
    sentence = f"Dropped {dropped.task} {dropped.id}: {dropped.message}"
    output.report(sentence, _document(dropped) | {"message": dropped.message}, json_output)


def _document(one: Quarantined) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "task": one.task,
        "reason": one.reason,
        "quarantined_at": one.quarantined_at.isoformat(),
    }


COMMANDS: Final[tuple[Any, ...]] = (quarantine_group,)
