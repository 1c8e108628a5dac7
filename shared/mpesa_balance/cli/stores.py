"""The stores that a command works with, from its settings."""

from mpesa_balance.database import Database
from mpesa_balance.environment import Reader, load


def database() -> Database:
    """Postgres, as the environment names it. Raises SettingsInvalid."""
    return Database(load(Reader.database), "mpesa-balance-cli")
