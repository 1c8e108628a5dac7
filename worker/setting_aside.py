"""A task that ended its process again and again is put into quarantine, and its request answered."""

import base64
import json

from mpesa_balance import contract, quarantine
from mpesa_balance.errors import RequestRefused
from worker import intake, metrics
from worker.house import House


def set_aside(house: House, *, task: str, task_id: str, message: str, reason: str) -> None:
    """Keep the task for a person to look at; a request among them is refused, so that it ends."""
    text = base64.b64decode(message).decode()
    with house.database.transaction() as connection:
        key = contract.id_of_task(task_id)
        is_new = quarantine.add(connection, house.database.sealer, key, task, text, reason)
    if is_new:
        metrics.quarantined(task)
    if task == contract.REQUEST_BALANCE:
        kwargs = json.loads(text)["kwargs"]
        refused = RequestRefused([f"it could not be worked on: {reason}. Ask again after a fix"])
        intake.refuse(house, task_id, kwargs, refused)
