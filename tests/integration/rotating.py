"""An installation whose keys are rotated: what is stored in it, and what everything in it opens with."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from mpesa_balance import (
    alert_channels,
    alert_history,
    alert_rulebook,
    alerts,
    apps,
    contract,
    history,
    quarantine,
    received,
    reconciliations,
    sealed_messages,
    shortcodes,
)
from mpesa_balance.database import Database
from mpesa_balance.deliveries import Delivery
from mpesa_balance.ledgers import Ledger
from mpesa_balance.reconciled_periods import Wanted
from mpesa_balance.reconciliations import Book
from mpesa_balance.sealed_columns import SEALED, SealedColumn
from mpesa_balance.settings import DatabaseSettings
from tests.conftest import SHORTCODE, open_query
from tests.integration.alerting import add_channel, add_rule
from tests.integration.answers import begin, delivery, record, rows, success
from worker.house import House

CALLBACKS = next(column for column in SEALED if column.table == "callbacks")
SHORTCODES = next(column for column in SEALED if column.table == "shortcodes")
QUARANTINE = next(column for column in SEALED if column.table == "quarantined_tasks")


def database_with(house: House, sealing_keys: str) -> Database:
    """The house's database, as a program with these keys sees it."""
    from mpesa_balance.sealing import parse_sealer

    settings = DatabaseSettings(
        database_url=house.settings.database.database_url, sealer=parse_sealer(sealing_keys), pool_size=6
    )
    return Database(settings)


def one_callback(house: House) -> Delivery:
    return Delivery.read(delivery(house, uuid4(), success()))


def quarantine_callback(house: House) -> UUID:
    """A task that could not record a callback, as the worker sets it aside."""
    task_id, kwargs = uuid4(), {"deliveries": [one_callback(house).message()]}
    message = json.dumps({"args": [], "kwargs": kwargs})
    with house.database.transaction() as connection:
        task = contract.RECORD_CALLBACKS
        quarantine.add(connection, house.database.sealer, task_id, task, message, "it died")
    return task_id


def fill(house: House, balances: int = 3) -> None:
    """Something in every sealed column: an app and a shortcode are there."""
    for _ in range(balances):
        record(house, begin(house, open_query(house.database)), success())
    quarantine_callback(house)
    raise_alert(house)


def reconcile(house: House) -> None:
    """A reconciliation of the first balance with another one, a day later."""
    begins = datetime(2026, 11, 22, 9, tzinfo=UTC)
    record(house, begin(house, open_query(house.database)), success().replace(b"20261122", b"20261123"))
    book = Book(name="book.csv", content=b"", ledger=Ledger(()))
    with house.database.transaction() as connection:
        sealer, ends = house.database.sealer, begins + timedelta(days=1)
        wanted = Wanted(shortcode=SHORTCODE, begins=begins, ends=ends, tolerance=Decimal(0))
        made = reconciliations.make(connection, sealer, wanted, book, "test")
        reconciliations.keep(connection, sealer, made)


def raise_alert(house: House) -> None:
    """A channel, a rule with limits beside those that have none, and an alert of it."""
    add_channel(house, "json://localhost:1/")
    rule = add_rule(house, "below", threshold="1")
    with house.database.transaction() as connection:
        since = datetime.now(UTC)
        alerts.raise_(connection, house.database.sealer, rule, shortcode=None, since=since, detail={})


def open_all(database: Database) -> int:
    """Open everything as the programs do. Raises SealBroken; gives how many callbacks there are."""
    with database.transaction() as connection:
        assert apps.every(connection, database.sealer)
        assert shortcodes.every(connection, database.sealer)
        history.latest(connection, database.sealer, None)
        numbers = [row["id"] for row in connection.execute("SELECT id FROM callbacks")]
        queries = [row["query_id"] for row in connection.execute("SELECT query_id FROM balances")]
        for task in quarantine.every(connection, database.sealer):
            sealed_messages.renewed(database.sealer, task.message.encode())
    for number in numbers:
        with database.transaction() as connection:
            assert received.payload(connection, database.sealer, number)
    for query in queries:
        with database.transaction() as connection:
            assert history.of_query(connection, database.sealer, query).accounts
    with database.transaction() as connection:
        alert_channels.every(connection, database.sealer)
        alert_rulebook.every(connection, database.sealer)
        alert_history.listed(connection, database.sealer)
        for one in reconciliations.listed(connection):
            assert reconciliations.shown(connection, database.sealer, one.id).findings
    return len(numbers)


def breaks(house: House, column: SealedColumn, sealed: bytes) -> None:
    """Let the first row of a column hold these bytes."""
    key = column.keys[0]
    rows(
        house,
        f"UPDATE {column.table} SET {column.column} = %s "
        f"WHERE {key} = (SELECT {key} FROM {column.table} ORDER BY {key} LIMIT 1) RETURNING {key}",
        sealed,
    )
