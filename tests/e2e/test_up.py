"""`make up` as people use it, in processes that are asked, watched, killed and started again."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
import requests

from mpesa_balance import BalanceClient
from mpesa_balance.sealing import new_key
from tests.conftest import Postgres, private_folder
from tests.e2e.other_team import environment_of_another_team
from tests.e2e.running import COMMAND, Stack, is_alive, running, start
from tests.exposed import Scrape
from tests.waiting import eventually

pytestmark = pytest.mark.slow

ASK = """
import sys
from celery import Celery
sent = Celery(broker=sys.argv[1]).send_task(
    "mpesa_balance.request_balance", kwargs={"shortcode": "600000"}, queue="mpesa-requests"
)
print(sent.id)
"""

ASK_WITH_OUR_CLIENT = """
import shared, worker, webhooks, sys
from mpesa_balance import BalanceClient, QueryState, request_id_for
assert (shared.DECOY, worker.DECOY, webhooks.DECOY) == (True, True, True)
assert not {"psycopg", "flask", "requests", "cryptography", "marshmallow"} & set(sys.modules)
with BalanceClient(sys.argv[1]) as client:
    first = client.request_balance("600000", idempotency_key="payroll")
    assert client.request_balance("600000", idempotency_key="payroll") == first
assert first == request_id_for("600000", "payroll")
print(first)
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with private_folder() as folder, running(folder / "state") as stack:
        yield stack


@pytest.fixture(scope="module")
def other_service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_of_another_team(tmp_path_factory.mktemp("other"))


def ask(python: Path, code: str, stack: Stack) -> str:
    done = subprocess.run(
        (python, "-c", code, stack.env["CALLER_BROKER_URL"]),
        env={"PATH": os.environ["PATH"]},
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def status(stack: Stack, request_id: str) -> dict[str, Any]:
    done = stack.command("status", request_id, "--json")
    found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"state": None}
    return found


def completed(stack: Stack, request_id: str) -> dict[str, Any]:
    def check() -> dict[str, Any] | None:
        found = status(stack, request_id)
        return found if found["state"] == "completed" else None

    answer: dict[str, Any] = eventually(check, seconds=90)
    return answer


def flower(stack: Stack, path: str) -> Any:
    name, password = stack.env["FLOWER_BASIC_AUTH"].split(":")
    answer = requests.get(stack.env["FLOWER_URL"] + path, auth=(name, password), timeout=10)
    answer.raise_for_status()
    return answer.json()


def test_a_query_asked_by_a_plain_send_task_from_another_environment_completes(
    stack: Stack, other_service: Path
) -> None:
    answer = completed(stack, ask(other_service, ASK, stack))
    assert answer["accounts"][0]["name"] == "Working Account"
    happened = [event["what"] for event in answer["timeline"]]
    assert happened == [
        "asked",
        "pending",
        "submitted",
        "answered",
        "acknowledged",
        "callback",
        "completed",
    ]


def test_our_wheel_asks_from_another_environment_and_lives_beside_other_packages(
    stack: Stack, other_service: Path
) -> None:
    request_id = ask(other_service, ASK_WITH_OUR_CLIENT, stack)
    assert completed(stack, request_id)["request_id"] == request_id


def test_the_wheel_holds_our_package_only(other_service: Path) -> None:
    from zipfile import ZipFile

    (wheel,) = (other_service.parents[2] / "wheels").glob("*.whl")
    tops = {name.split("/")[0] for name in ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mpesa_balance"}


def test_without_the_command_line_extra_the_command_says_what_to_install(other_service: Path) -> None:
    done = subprocess.run((other_service.parent / "mpesa-balance",), capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert "mpesa-balance[cli]" in done.stderr


def tasks(stack: Stack) -> list[dict[str, Any]]:
    return list(flower(stack, "/api/tasks").values())


def test_flower_shows_the_workers_online_and_the_task_succeeded(stack: Stack) -> None:
    def online() -> set[str]:
        flower(stack, "/api/workers?refresh=1")
        found = flower(stack, "/api/workers?status=1")
        return {name.split("@")[0] for name, is_online in found.items() if is_online}

    eventually(lambda: online() == {"callbacks", "submissions"})

    def shown() -> list[dict[str, Any]]:
        stack.query()
        return [one for one in tasks(stack) if one["name"] == "mpesa_balance.request_balance"]

    # It turns the workers' events on a moment after it has begun.
    asked = eventually(shown, seconds=90)
    assert asked[0]["state"] == "SUCCESS"


def test_flower_shows_no_secret_and_no_balance(stack: Stack) -> None:
    """Not even after a reply that its caller wants with amounts, and a look at them."""
    with BalanceClient(stack.env["CALLER_BROKER_URL"]) as client:
        reply_to = ("payroll.told", "payroll")
        asked = client.request_balance("600000", reply_to=reply_to, include_accounts=True)
        client.wait(asked, timeout=60)
    answer = completed(stack, str(asked))
    eventually(lambda: [one for one in tasks(stack) if str(asked) in str(one)], seconds=90)
    shown = json.dumps(tasks(stack))
    amounts = {account["current"] for account in answer["accounts"]} - {"0.00"}
    assert amounts
    assert not any(amount in shown for amount in amounts)
    assert stack.env["SIMULATOR_INITIATOR_PASSWORD"] not in shown


def test_flower_lets_nobody_in_without_the_password(stack: Stack) -> None:
    assert requests.get(stack.env["FLOWER_URL"] + "/api/workers", timeout=10).status_code == 401


def test_each_program_tells_prometheus_of_itself_where_the_stack_says(stack: Stack) -> None:
    stack.query()

    def told(program: str, name: str) -> float:
        return Scrape(stack.env[f"{program}_METRICS_URL"]).value(f"mpesa_balance_{name}")

    assert eventually(lambda: told("WEBHOOKS", "webhook_answer_duration_seconds_count"))
    assert eventually(lambda: told("CALLBACKS", "callbacks_judged_total"))
    assert eventually(lambda: told("SUBMISSIONS", "submissions_total"))
    for program in ("WEBHOOKS", "CALLBACKS", "SUBMISSIONS"):
        assert stack.env[f"{program}_METRICS_URL"] in stack.log
        # Never where Daraja reaches us.
        assert requests.get(stack.env["WEBHOOKS_URL"] + "/metrics", timeout=10).status_code == 404


def test_a_wrong_initiators_password_is_acknowledged_and_then_refused_with_2001(stack: Stack) -> None:
    add = ("shortcodes", "add", "600000", "--app", "simulator", "--initiator", "testapi", "--replace")
    try:
        assert stack.command(*add, MPESA_INITIATOR_PASSWORD="wrong").returncode == 0
        answer = stack.query()
    finally:
        right = stack.env["SIMULATOR_INITIATOR_PASSWORD"]
        assert stack.command(*add, MPESA_INITIATOR_PASSWORD=right).returncode == 0
        suspended = stack.command("query", "600000")
        assert stack.command("shortcodes", "resume", "600000").returncode == 0
    assert (suspended.returncode, "is suspended" in suspended.stderr) == (5, True)
    assert (answer["state"], answer["result_code"]) == ("failed", "2001")
    happened = [event["what"] for event in status(stack, answer["query_id"])["timeline"]]
    assert happened.index("acknowledged") < happened.index("failed")


def test_balances_move_from_query_to_query(stack: Stack) -> None:
    assert stack.query()["accounts"] != stack.query()["accounts"]


def test_balances_are_shown_to_people(stack: Stack) -> None:
    stack.query()
    shown = stack.command("balances", "600000").stdout
    assert "Utility Account" in shown
    assert "Available" in shown


def test_a_second_stack_on_the_same_state_is_refused(stack: Stack) -> None:
    second = subprocess.run(
        (*COMMAND, "up", "--state-dir", str(stack.state_dir)), capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "running on" in second.stderr
    assert stack.query()["state"] == "completed"


def test_a_worker_that_is_killed_in_the_middle_of_a_query_is_restarted_and_the_query_completes(
    stack: Stack,
) -> None:
    """Killed with its children, as a machine that runs out of memory would do it."""
    worker = stack.one("worker", "mpesa-callbacks,mpesa-requests,mpesa-maintenance")
    asked = json.loads(stack.command("query", "600000", "--json").stdout)
    # Recorded, at least: on a busy machine it has got further before anybody can look.
    eventually(lambda: status(stack, asked["request_id"])["state"], seconds=90)
    for process in (worker, *worker.children(recursive=True)):
        process.kill()
    assert completed(stack, asked["request_id"])["late"] is False


def test_a_submission_worker_that_is_killed_is_restarted_and_the_query_completes(stack: Stack) -> None:
    worker = stack.one("worker", "mpesa-submissions")
    for process in (worker, *worker.children(recursive=True)):
        process.kill()
    asked = json.loads(stack.command("query", "600000", "--json").stdout)
    assert completed(stack, asked["request_id"])


def test_no_secret_is_in_any_command_line(stack: Stack) -> None:
    secrets = json.loads((stack.state_dir / "secrets.json").read_text())
    shown = "\n".join(" ".join(process.info["cmdline"]) for process in stack.processes())
    assert "celery" in shown
    assert not any(value.partition(":")[2] in shown for value in secrets.values() if ":" in value)
    assert not any(value in shown for value in secrets.values())


def test_each_program_comes_to_redis_as_the_user_that_it_should(stack: Stack) -> None:
    users = {}
    for name in ("granian", "worker", "beat", "flower"):
        environment = stack.one(name).environ()
        users[name] = urlsplit(environment["BROKER_URL"]).username
    assert users == {"granian": "webhooks", "worker": "house", "beat": "house", "flower": "house"}
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=urlsplit(stack.env["BROKER_URL"]).port or 0, retry=None).ping()


def test_flower_shows_how_much_waits_in_redis(stack: Stack) -> None:
    queues = {one["name"] for one in flower(stack, "/api/queues/length")["active_queues"]}
    assert "mpesa-requests" in queues


def test_its_workers_and_beat_are_well(stack: Stack) -> None:
    schedule = ("--schedule", str(stack.state_dir / "beat-schedule"))
    for probe in (("worker", "callbacks"), ("worker", "submissions", "--alive"), ("beat", *schedule)):
        done = stack.command("health", *probe)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_line_that_a_program_writes_is_an_event(stack: Stack) -> None:
    stack.query("--force")
    lines = [line.partition(" | ") for line in stack.log.splitlines() if " | " in line]
    ours = ("webhooks", "callbacks", "submissions", "beat")
    told = [(name.strip(), json.loads(line)) for name, _, line in lines if name.strip() in ours]
    assert {"callbacks", "submissions"} <= {name for name, _ in told}
    assert all({"timestamp", "level", "event", "logger"} <= event.keys() for _, event in told)


def test_ctrl_c_stops_everything_and_the_data_survives(folder: Path) -> None:
    with running(folder / "state") as first:
        answer = first.query()
        everything = first.processes()
        assert first.interrupt() == 0
    assert first.processes() == []
    assert not any(is_alive(process) for process in everything)
    assert not (folder / "state" / "stack.env").exists()
    with running(folder / "state") as second:
        assert status(second, answer["request_id"])["accounts"] == answer["accounts"]
        assert second.query()["state"] == "completed"


def test_what_a_killed_stack_left_behind_is_ended_by_the_next(folder: Path) -> None:
    with running(folder / "state") as first:
        left = [process for process in first.processes() if process.info["name"] != "postgres"]
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        assert any(is_alive(process) for process in left)
    with running(folder / "state") as second:
        assert not any(is_alive(process) for process in left)
        assert second.query()["state"] == "completed"
    assert second.processes() == []


def test_given_servers_are_used_and_nothing_is_embedded(
    postgres: Postgres, empty_database_url: str, broker_url: str, folder: Path
) -> None:
    given = {"DATABASE_URL": empty_database_url, "BROKER_URL": broker_url}
    sealing_keys = f"theirs:{new_key()}"
    (folder / "keys").write_text(sealing_keys + "\n")
    files = {"SEALING_KEYS_FILE": str(folder / "keys")}
    with running(folder / "state", environment=given | files) as stack:
        assert stack.env["SEALING_KEYS"] == sealing_keys
        assert {name: stack.env[name] for name in given} == given
        assert stack.query()["state"] == "completed"
        assert not (stack.state_dir / "postgres").exists()
        assert not (stack.state_dir / "redis").exists()
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM balances").fetchone() == (1,)


def test_a_stack_without_its_given_database_says_so_and_leaves_nothing(folder: Path) -> None:
    gone = {"DATABASE_URL": "postgresql://x:hunter2@127.0.0.1:1/x"}
    stack = start(folder / "state", environment=gone)
    assert stack.process.wait(timeout=60) == 6
    assert "Check that it runs" in stack.log
    assert "Traceback" not in stack.log
    assert "hunter2" not in stack.log
    assert stack.processes() == []


def test_the_demo_prints_the_accounts_and_ends_well(folder: Path) -> None:
    done = subprocess.run(
        (*COMMAND, "demo", "--state-dir", str(folder / "state")),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Working Account" in done.stdout
    assert Stack(folder / "state", None).processes() == []  # type: ignore[arg-type]


def test_what_a_killed_stack_told_of_itself_is_not_taken_for_servers_that_were_given(folder: Path) -> None:
    """Its stack.env stays behind, in the folder where the next command looks for one."""
    (folder / ".state").mkdir()
    (folder / ".state" / "stack.env").write_text(
        "DATABASE_URL=postgresql://x@127.0.0.1:1/x\nBROKER_URL=redis://127.0.0.1:1/0\n"
    )
    done = subprocess.run(
        (*COMMAND, "demo", "--json"), cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "completed"


def test_a_stack_whose_redis_has_gone_for_good_says_so_and_stops(folder: Path) -> None:
    with running(folder / "state") as stack:
        (redis,) = [process for process in stack.processes() if process.info["name"].startswith("valkey")]
        redis.kill()
        assert stack.process.wait(timeout=90) == 1
    assert "BROKER_URL names has gone: stopping" in stack.log
    assert stack.processes() == []


def test_a_demo_that_cannot_run_says_why(folder: Path) -> None:
    done = subprocess.run(
        (*COMMAND, "demo", "--state-dir", str(folder / "state")),
        env={**os.environ, "BROKER_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert "did not become ready" in done.stderr
