"""A house to measure: its own keys and the defaults of the product, and nothing outside to wait for."""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from mpesa_balance.apps import App
from mpesa_balance.environment import Reader, load
from mpesa_balance.sealing import new_key
from mpesa_balance.settings import WorkerSettings
from worker.answers import Acknowledgement
from worker.bells import Bells
from worker.daraja import Daraja
from worker.tokens import Tokens

#: Whatever runs in this process is sealed and signed with these.
KEYS: Final = {"SEALING_KEYS": f"bench:{new_key()}", "CALLBACK_KEYS": new_key()}


def settings(database_url: str, broker_url: str = "redis://127.0.0.1:1/0") -> WorkerSettings:
    """The defaults, for these stores. They are in the environment of this process from then on."""
    stores = {"DATABASE_URL": database_url, "BROKER_URL": broker_url}
    os.environ.update({**KEYS, **stores, "CALLBACK_BASE_URL": "http://127.0.0.1:1", "LOG_LEVEL": "ERROR"})
    return load(Reader.worker)


class Silent(Bells):
    """Remembers what was rung for, and reaches nobody."""

    def __init__(self) -> None:
        self.rung: list[UUID] = []

    def submit(self, query_id: UUID) -> None:
        """Whoever measures submits it."""
        self.rung.append(query_id)

    def judge(self, callback_id: int) -> None:
        """Nothing is left unjudged."""

    def tell(self, task: str, queue: str, event: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """A broker that takes everything."""


class Immediate(Daraja):
    """Takes every query at once, and remembers where its result is to be sent, and with which ids."""

    def __init__(self) -> None:
        super().__init__(1)
        self.taken: list[tuple[str, Acknowledgement]] = []

    def ask(self, app: App, token: str, body: dict[str, str]) -> Acknowledgement:
        """An acceptance with ids of its own."""
        taken = Acknowledgement(
            originator_conversation_id=f"1000-{uuid4().hex}",
            conversation_id=f"AG_{uuid4().hex}",
            code="0",
            description="Accept the service request successfully.",
            http_status=200,
        )
        self.taken.append((body["ResultURL"], taken))
        return taken


class Constant(Tokens):
    """One token that is always good."""

    def current(self, app: App) -> str:
        """It."""
        return "token"


def result(taken: Acknowledgement) -> bytes:
    """What M-PESA sends some seconds after that: five accounts, as they stand now."""
    names = ("Working", "Float", "Utility", "Charges Paid", "Organization Settlement")
    parameters = {
        "AccountBalance": "&".join(f"{name} Account|KES|700000.00|700000.00|0.00|0.00" for name in names),
        "BOCompletedTime": f"{datetime.now(ZoneInfo('Africa/Nairobi')):%Y%m%d%H%M%S}",
    }
    said = {
        "ResultType": 0,
        "ResultCode": 0,
        "ResultDesc": "The service request is processed successfully.",
        "OriginatorConversationID": taken.originator_conversation_id,
        "ConversationID": taken.conversation_id,
        "TransactionID": uuid4().hex[:10].upper(),
        "ResultParameters": {
            "ResultParameter": [{"Key": key, "Value": value} for key, value in parameters.items()]
        },
        "ReferenceData": {
            "ReferenceItem": {"Key": "QueueTimeoutURL", "Value": "https://example.org/timeout"}
        },
    }
    return json.dumps({"Result": said}, indent=2).encode()
