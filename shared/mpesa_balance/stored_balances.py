"""Balances in Postgres: sealed documents, one for each query that was completed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from mpesa_balance.balances import Account, Balance
from mpesa_balance.database import Connection
from mpesa_balance.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Brought:
    """The balance of a query that a callback brought, and the text that it was read from."""

    query_id: UUID
    callback_id: int
    balance: Balance
    raw: str | None = field(repr=False)

    def sealed(self, sealer: Sealer) -> bytes:
        """What is stored of it."""
        accounts = [account.document() for account in self.balance.accounts]
        document = json.dumps({"accounts": accounts, "raw": self.raw})
        return sealer.seal_text(document, balance_place(self.query_id))


def store(connection: Connection, sealer: Sealer, brought: Sequence[Brought]) -> None:
    """Store the accounts of queries that were just completed, sealed: documents of decimal strings."""
    columns: dict[str, list[Any]] = {
        "query_ids": [one.query_id for one in brought],
        "callback_ids": [one.callback_id for one in brought],
        "documents": [one.sealed(sealer) for one in brought],
        # An array of arrays would have to be rectangular.
        "warnings": [json.dumps(one.balance.warnings) for one in brought],
    }
    connection.execute(_STORE, columns)


def open_balance(sealer: Sealer, query_id: UUID, sealed: bytes) -> list[Account]:
    """The accounts in a stored document."""
    document: Mapping[str, Any] = json.loads(sealer.open_text(sealed, balance_place(query_id)))
    return [Account.from_document(account) for account in document["accounts"]]


def balance_place(query_id: UUID) -> str:
    """What the document of a query's balance is sealed for."""
    return f"balances/{query_id}"


#: Nothing stands so in the future: by a clock that is ahead, whatever came later would pass for older.
_STORE: Final = """
    INSERT INTO balances (query_id, shortcode, callback_id, document, warnings, as_of)
    SELECT q.id, q.shortcode, brought.callback_id, brought.document,
           ARRAY(SELECT jsonb_array_elements_text(brought.warnings)),
           least(coalesce(q.completed_at, q.created_at), now())
    FROM unnest(
        %(query_ids)s::uuid[], %(callback_ids)s::bigint[], %(documents)b::bytea[], %(warnings)s::jsonb[]
    ) AS brought (query_id, callback_id, document, warnings)
    JOIN balance_queries q ON q.id = brought.query_id
"""
