"""What Daraja would send about an attempt of a test, as the webhook tier passes it on."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from mpesa_balance import beginnings, line
from mpesa_balance.attempts import Attempt
from mpesa_balance.callback_urls import RESULT, payload_digest
from mpesa_balance.deliveries import Delivery, delivery_place
from worker import callbacks
from worker.house import House

BALANCE = "Working Account|KES|700000.00|700000.00|0.00|0.00"
OTHER_BALANCE = "Working Account|KES|1.00|1.00|0.00|0.00"


def first_in_line(house: House, query_id: UUID) -> Attempt | None:
    """What begins when this query's bell is heard."""
    with house.database.transaction() as connection:
        app = line.app_of(connection, house.database.sealer, query_id)
        assert app is not None
        begun = beginnings.begin(connection, house.database.sealer, app.name, 90, most=1)
    return begun[0] if begun else None


def begin(house: House, query_id: UUID) -> UUID:
    """Begin a submission attempt of this query, whoever else is in the line, and return its id."""
    with house.database.transaction() as connection:
        connection.execute(
            "UPDATE balance_queries SET next_attempt_at = CASE id WHEN %s THEN now() ELSE 'infinity' END "
            "WHERE state = 'pending'",
            (query_id,),
        )
    attempt = first_in_line(house, query_id)
    assert attempt is not None
    return attempt.id


def success(balance: str = BALANCE, **changes: Any) -> bytes:
    parameters = [
        {"Key": "AccountBalance", "Value": balance},
        {"Key": "BOCompletedTime", "Value": 20261122120000},
    ]
    body = {"ResultType": 0, "ResultCode": 0, "ResultDesc": "ok"}
    body["ResultParameters"] = {"ResultParameter": parameters}
    return json.dumps({"Result": body | changes}).encode()


def failure(code: str = "2001") -> bytes:
    return json.dumps({"Result": {"ResultType": 0, "ResultCode": code, "ResultDesc": "no"}}).encode()


def delivery(house: House, attempt_id: UUID, payload: bytes, kind: str = RESULT) -> dict[str, Any]:
    """The message about one delivery."""
    digest = payload_digest(house.settings.callbacks.signer.token(attempt_id), payload)
    place = delivery_place(attempt_id, kind, digest)
    return Delivery(
        attempt_id=attempt_id,
        kind=kind,
        digest=digest,
        payload=house.settings.callbacks.sealer.seal(payload, place),
        address="127.0.0.1",
        received_at=datetime.now(UTC),
    ).message()


def record(house: House, attempt_id: UUID, payload: bytes, kind: str = RESULT) -> None:
    callbacks.record(house, [delivery(house, attempt_id, payload, kind)])


def row(house: House, statement: str, *values: Any) -> dict[str, Any]:
    """The one row that a statement gives."""
    with house.database.transaction() as connection:
        (found,) = connection.execute(statement, values).fetchall()
    return dict(found)


def state(house: House) -> str:
    """The state of the one query."""
    return str(row(house, "SELECT state FROM balance_queries")["state"])


def rows(house: House, statement: str, *values: Any) -> list[dict[str, Any]]:
    with house.database.transaction() as connection:
        return [dict(found) for found in connection.execute(statement, values)]
