"""Ticks in Postgres: any number of clocks may send one, and each is taken once."""

from typing import Final

from mpesa_balance.database import Connection


def take(connection: Connection, job: str, interval: int) -> bool:
    """Take the current tick of a job that runs every `interval` seconds; False where somebody has it."""
    return bool(connection.execute(_TAKE, {"job": job, "interval": interval}).rowcount)


_TAKE: Final = """
    INSERT INTO ticks (job, slot)
    VALUES (%(job)s, floor(extract(epoch FROM clock_timestamp()) / %(interval)s))
    ON CONFLICT (job) DO UPDATE SET slot = excluded.slot, ticked_at = now()
    WHERE ticks.slot <> excluded.slot
"""
