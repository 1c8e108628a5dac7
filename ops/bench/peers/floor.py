"""The floor: what Celery and Flask cost where nothing is done."""

import os
from typing import Any, Final

from celery import Celery
from flask import Flask

app: Final = Celery("floor", broker=os.environ["BROKER_URL"])
wsgi: Final = Flask("floor")


@wsgi.post("/callback")
def receive() -> dict[str, Any]:
    """Answer."""
    return {"ResultCode": 0, "ResultDesc": "Accepted"}


@app.task(name="empty")
def empty() -> None:
    """Do nothing."""
