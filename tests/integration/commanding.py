"""The command as a test calls it in its own process, with the settings of the test's servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mpesa_balance.cli import asking, stores
from mpesa_balance.cli.main import main
from mpesa_balance.database import Database


def command(*arguments: str) -> Result:
    """What the command says, and how it ends."""
    return CliRunner().invoke(main, arguments)


@contextmanager
def closing_databases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close in the end what commands leave to the end of their process."""
    opened: list[Database] = []

    def remembered(*given: Any) -> Database:
        opened.append(Database(*given))
        return opened[-1]

    for module in (asking, stores):
        monkeypatch.setattr(module, "Database", remembered)
    yield
    for database in opened:
        database.close()
