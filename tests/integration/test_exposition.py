"""How the processes of a program count together, in slots that outlive them, and who tells Prometheus."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import requests

from mpesa_balance.exposition import VARIABLE
from ops.stack.ports import free_port
from tests.exposed import Scrape
from tests.fakes import deliver
from tests.integration.webhook_desk import BODY, Webhooks, running
from tests.waiting import eventually, is_answered

pytestmark = pytest.mark.slow

#: A process that counts and gauges what it is told, as the child of a test.
COUNTING = """
import sys, os, time
from pathlib import Path
from mpesa_balance.exposition import Exposition, count_together
from mpesa_balance.metrics import Metrics
from mpesa_balance.settings import MetricsSettings
leader, port = int(sys.argv[1]), int(sys.argv[2])
directory = count_together("test", leader)
counter = Metrics()._counter("made", "What was made.")
depth = Metrics()._gauge("depth", "What is there.", "livesum")
depth.set(10)
if directory is not None and port:
    Exposition(MetricsSettings(port=port), directory).start()
print("ready" if directory is not None else "alone", flush=True)
for line in sys.stdin:
    counter.inc(int(line))
    print("counted", flush=True)
"""


class Counting:
    def __init__(self, base: Path, leader: int, port: int = 0) -> None:
        self.process = subprocess.Popen(
            (sys.executable, "-c", COUNTING, str(leader), str(port)),
            env={**os.environ, VARIABLE: str(base)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def count(self, number: int) -> None:
        assert self.process.stdin is not None
        print(number, file=self.process.stdin, flush=True)
        assert self._line() == "counted"

    def kill(self) -> str:
        """End it, and give what it wrote to standard error."""
        self.process.kill()
        return self.process.communicate()[1]


@contextmanager
def counting(base: Path, leader: int | None = None, port: int = 0) -> Iterator[Counting]:
    one = Counting(base, leader or os.getpid(), port)
    try:
        yield one
    finally:
        one.kill()


def made(port: int) -> float:
    return Scrape(f"http://127.0.0.1:{port}/metrics").value("mpesa_balance_made_total")


def test_one_that_is_killed_keeps_its_counts_and_loses_its_gauges(tmp_path: Path) -> None:
    port = free_port()
    with counting(tmp_path, port=port) as first, counting(tmp_path) as second:
        first.count(3)
        second.count(4)
        eventually(lambda: is_served(port))
        scrape = Scrape(f"http://127.0.0.1:{port}/metrics")
        assert (scrape.value("mpesa_balance_made_total"), scrape.value("mpesa_balance_depth")) == (7, 20)
        second.kill()
        scrape = Scrape(f"http://127.0.0.1:{port}/metrics")
        assert (scrape.value("mpesa_balance_made_total"), scrape.value("mpesa_balance_depth")) == (7, 10)
        with counting(tmp_path) as third:
            third.count(5)
            scrape = Scrape(f"http://127.0.0.1:{port}/metrics")
            assert (scrape.value("mpesa_balance_made_total"), scrape.value("mpesa_balance_depth")) == (
                12,
                20,
            )
        # However often one is started again, there are no more files than processes at one time.
        (directory,) = tmp_path.iterdir()
        assert {path.stem for path in directory.glob("*.lock")} == {"0", "1"}
        assert len(list(directory.glob("counter_*.db"))) == 2


def test_when_the_one_with_the_port_ends_another_one_has_it_soon(tmp_path: Path) -> None:
    port = free_port()
    with counting(tmp_path, port=port) as first:
        first.count(1)
        eventually(lambda: is_served(port))
        with counting(tmp_path, port=port) as second:
            second.count(1)
            first.kill()
            eventually(lambda: is_served(port))
            assert made(port) == 2


def test_what_an_earlier_program_with_the_same_leader_counted_is_not_counted_again(tmp_path: Path) -> None:
    port = free_port()
    with counting(tmp_path) as earlier:
        earlier.count(100)
    with counting(tmp_path, port=port) as later:
        later.count(1)
        eventually(lambda: is_served(port))
        assert made(port) == 1


def test_many_that_begin_at_once_have_a_slot_each(tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as ends:
        with ThreadPoolExecutor(4) as threads:
            begun = list(threads.map(lambda _: Counting(tmp_path, os.getpid(), port), range(4)))
        for one in begun:
            ends.callback(one.kill)
        for one in begun:
            one.count(1)
        eventually(lambda: is_served(port))
        assert made(port) == 4


def test_directories_of_programs_that_have_ended_are_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen((sys.executable, "-c", ""))
    ended.wait()
    left = tmp_path / f"mpesa-balance-metrics-worker-{ended.pid}"
    left.mkdir()
    (left / "counter_0.db").write_bytes(b"x")
    with counting(tmp_path), counting(tmp_path, leader=1):
        names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"mpesa-balance-metrics-test-{leader}" for leader in (os.getpid(), 1)}


def test_without_a_directory_a_program_goes_on_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with counting(tmp_path / "file") as alone:
        assert alone.said == "alone"
        alone.count(1)
        assert VARIABLE in alone.kill()


def test_its_files_are_for_their_owner_only(tmp_path: Path) -> None:
    with counting(tmp_path):
        (directory,) = tmp_path.iterdir()
        assert directory.stat().st_mode & 0o777 == 0o700


def test_both_processes_of_the_webhook_tier_add_up_also_after_one_was_killed(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = {"METRICS_PORT": str(port), VARIABLE: str(tmp_path / "metrics")}
    with running(keys, broker_url, tmp_path / "spool", processes=2, **settings) as webhooks:
        for _ in range(20):
            assert deliver(webhooks.address(uuid4()), BODY).ok
        assert (
            requests.post(f"{webhooks.url}/callbacks/balance/guessed/timeout", timeout=5).status_code == 404
        )
        address = f"http://127.0.0.1:{port}/metrics"
        eventually(lambda: is_served(port))
        # An answer is counted when it is on its way.
        assert eventually(lambda: accepted(address) == 20)
        assert eventually(lambda: Scrape(address).value("mpesa_balance_spool_callbacks") == 20)
        scrape = Scrape(address)
        assert scrape.value("mpesa_balance_webhook_callbacks_total", kind="timeout", status="404") == 1
        assert scrape.value("mpesa_balance_webhook_answer_duration_seconds_count", kind="result") == 20
        assert scrape.value("mpesa_balance_webhook_unknown_tokens_total") == 1
        assert scrape.value("mpesa_balance_spool_failing") == 0
        assert eventually(
            lambda: Scrape(address).value("mpesa_balance_spool_oldest_callback_age_seconds") > 0
        )
        assert not any(secret in scrape.text for secret in (*keys.values(), "guessed", str(tmp_path)))
        survives_a_kill(webhooks, port, address)


def survives_a_kill(webhooks: Webhooks, port: int, address: str) -> None:
    (owner,) = (
        child
        for child in psutil.Process(webhooks.process.pid).children(recursive=True)
        if any(one.laddr.port == port and one.status == "LISTEN" for one in child.net_connections())
    )
    owner.send_signal(signal.SIGKILL)
    owner.wait(timeout=10)
    eventually(lambda: is_served(port))
    assert accepted(address) == 20
    for _ in range(5):
        eventually(lambda: deliver(webhooks.address(uuid4()), BODY).ok)
    assert eventually(lambda: accepted(address) == 25)


def accepted(address: str) -> float:
    return Scrape(address).value("mpesa_balance_webhook_callbacks_total", kind="result", status="200")


def is_served(port: int) -> bool:
    return is_answered(f"http://127.0.0.1:{port}/metrics")
