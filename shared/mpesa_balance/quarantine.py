"""The quarantine in Postgres: tasks that ended their process again and again."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from mpesa_balance import outbox
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound
from mpesa_balance.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A task that was set aside; `message` is {"args": [...], "kwargs": {...}} as JSON."""

    id: UUID
    task: str
    message: str = field(repr=False)
    reason: str
    quarantined_at: datetime


def add(
    connection: Connection, sealer: Sealer, task_id: UUID, task: str, message: str, reason: str
) -> bool:
    """Set a task aside and have somebody told; False where that was done before, and nothing changed."""
    row = {
        "id": task_id,
        "task": task,
        "message": sealer.seal_text(message, message_place(task_id)),
        "reason": reason,
    }
    is_new = bool(connection.execute(_ADD, row).rowcount)
    if is_new:
        outbox.add(connection, outbox.TASK_QUARANTINED, f"task {task} ({task_id}): {reason}")
    return is_new


def every(connection: Connection, sealer: Sealer) -> list[Quarantined]:
    """Everything in quarantine, oldest first."""
    rows = connection.execute(_EVERY).fetchall()
    return [
        Quarantined(**(row | {"message": sealer.open_text(row["message"], message_place(row["id"]))}))
        for row in rows
    ]


def release(connection: Connection, sealer: Sealer, task_id: UUID) -> Quarantined:
    """Take one out. Raises NotFound."""
    row = connection.execute(_RELEASE, {"id": task_id}).fetchone()
    if row is None:
        raise NotFound(f"no task {task_id} is in quarantine: see `mpesa-balance quarantine list`")
    return Quarantined(**(row | {"message": sealer.open_text(row["message"], message_place(task_id))}))


def message_place(task_id: UUID) -> str:
    """What a quarantined task's message is sealed for."""
    return f"quarantined_tasks/{task_id}"


_ADD: Final = """
    INSERT INTO quarantined_tasks (id, task, message, reason)
    VALUES (%(id)s, %(task)s, %(message)s, %(reason)s) ON CONFLICT (id) DO NOTHING
"""

_EVERY: Final = """
    SELECT id, task, message, reason, quarantined_at FROM quarantined_tasks ORDER BY quarantined_at, id
"""

_RELEASE: Final = """
    DELETE FROM quarantined_tasks WHERE id = %(id)s
    RETURNING id, task, message, reason, quarantined_at
"""
