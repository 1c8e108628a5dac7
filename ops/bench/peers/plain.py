"""Plain Celery: a Flask view that queues each callback, and a task that records it, default settings."""

import os
from functools import lru_cache
from typing import Any, Final

from celery import Celery
from flask import Flask, request
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from ops.bench.peers.tables import COMPLETE, STORE, account_balance, accounts

app: Final = Celery("plain", broker=os.environ["BROKER_URL"])
wsgi: Final = Flask("plain")


@wsgi.post("/callback")
def receive() -> dict[str, Any]:
    """Queue it, answer."""
    record.apply_async(kwargs={"payload": request.get_json()})
    return {"ResultCode": 0, "ResultDesc": "Accepted"}


@app.task(name="record")
def record(payload: dict[str, Any]) -> None:
    """Record one result in one transaction."""
    result = payload["Result"]
    state = "completed" if str(result["ResultCode"]) == "0" else "failed"
    row = (state, str(result["ResultCode"]), result["ResultDesc"], result["OriginatorConversationID"])
    with _pool(os.getpid()).connection() as connection:
        found = connection.execute(COMPLETE, row).fetchone()
        if found is not None:
            connection.execute(STORE, (found[0], Jsonb(accounts(account_balance(payload)))))


@lru_cache(maxsize=1)
def _pool(process: int) -> "ConnectionPool[Any]":
    # The process is the key, so that a forked child never uses its parent's connections.
    return ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=2, open=True)
