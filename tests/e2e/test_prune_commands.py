"""`mpesa-balance prune` and `archive` as a person and as a script use them; also killed in the middle."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mpesa_balance import contract
from mpesa_balance.sealing import new_key
from tests.e2e.alone import working
from tests.e2e.commands import refusal, run
from tests.integration.answers import rows
from tests.integration.pruning import a_past, age, archived, complete, execute, stored
from tests.waiting import eventually
from worker.house import House

pytestmark = pytest.mark.slow

OLD = ("prune", "--older-than", "30")


def said(environment: dict[str, str], *arguments: str) -> Any:
    done = run(environment, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shown(environment: dict[str, str], *files: Path) -> list[dict[str, Any]]:
    done = run(environment, "archive", "show", *map(str, files))
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_ended_long_ago_is_counted_removed_and_shown(
    environment: dict[str, str], house: House, folder: Path
) -> None:
    a_past(house)
    age(house)
    due = said(environment, *OLD, "--dry-run")["due"]
    assert due == {"balance_queries": 5, "balance_requests": 1, "callbacks": 1, "outbox": 1, "alerts": 3}
    before = stored(house)
    removed = said(environment, *OLD, "--archive", str(folder))
    assert removed["removed"]["balance_queries"] == 5
    archive = Path(removed["archive"])
    assert (removed["older_than_days"], removed["bytes"]) == (30, archive.stat().st_size)
    found = shown(environment, archive)
    assert len(found) == len(before - stored(house)) == sum(removed["removed"].values())
    (shown_at,) = said(environment, "audit", "--action", "archive_shown")
    assert (shown_at["subject"], "cli:" in shown_at["actor"]) == (archive.name, True)
    assert said(environment, *OLD, "--archive", str(folder))["archive"] is None
    assert "Nothing that may go ended" in run({**environment, "ARCHIVE_DIR": str(folder)}, *OLD).stdout


def test_people_read_how_much_went_where(environment: dict[str, str], house: House, folder: Path) -> None:
    a_past(house)
    age(house)
    assert "balance_queries" in run(environment, *OLD, "--dry-run").stdout
    done = run(environment, *OLD, "--archive", str(folder))
    (archive,) = folder.iterdir()
    assert "Rows removed" in done.stdout
    assert f"They are in {archive}" in done.stdout
    assert "rows are archived and removed" in done.stderr


def test_an_archive_is_sealed_anew_and_needs_the_old_key_no_longer(
    environment: dict[str, str], house: House, folder: Path
) -> None:
    a_past(house)
    age(house)
    archive = Path(said(environment, *OLD, "--archive", str(folder))["archive"])
    new = f"new:{new_key()}"
    both = {**environment, "SEALING_KEYS": f"{new},{environment['SEALING_KEYS']}"}
    (done,) = said(both, "archive", "reseal", str(archive))
    assert done == {"archive": str(archive), "sealed_anew": 5, "problems": []}
    assert shown({**environment, "SEALING_KEYS": new}, archive)
    (entry,) = said(both, "audit", "--action", "archive_resealed")
    assert entry["detail"] == "5 lines with key new"


def test_what_cannot_be_read_is_told_and_ends_in_one(
    environment: dict[str, str], house: House, folder: Path
) -> None:
    a_past(house)
    age(house)
    archive = Path(said(environment, *OLD, "--archive", str(folder))["archive"])
    first, *others = archive.read_bytes().splitlines(keepends=True)
    archive.write_bytes(first[:50] + b"\n" + b"".join(others))
    done = run(environment, "archive", "show", str(archive))
    assert (done.returncode, done.stdout.count("\n") > 3) == (1, True)
    problem = f"{archive}, line 1: it is no line of an archive, or was changed\n"
    assert done.stderr == f"Cannot be read: {problem}"
    done = run(environment, "archive", "reseal", str(archive), "--json")
    assert (done.returncode, json.loads(done.stdout)[0]["problems"]) == (1, [problem[:-1]])


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("prune",), 2, "Missing option '--older-than'"),
        (("prune", "--older-than", "0"), 2, "0 is not in the range 1<=x<=36500"),
        (("prune", "--older-than", "soon"), 2, "'soon' is not a valid integer range"),
        (OLD, 2, "say where the archive goes: --archive DIR"),
        (
            (*OLD, "--archive", "/nowhere"),
            2,
            "Directory '/nowhere' does not exist",
        ),
        (("archive", "show"), 2, "Missing argument 'FILES...'"),
        (("archive", "show", "/nowhere"), 2, "File '/nowhere' does not exist"),
        (("archive", "reseal", "/"), 2, "File '/' is a directory"),
    ],
)
def test_what_cannot_be_done_is_refused(
    environment: dict[str, str], house: House, arguments: tuple[str, ...], code: int, what: str
) -> None:
    done = run(environment, *arguments)
    assert (done.returncode, what in done.stderr) == (code, True), done.stderr


def test_an_archive_that_somebody_writes_is_not_sealed_anew(
    environment: dict[str, str], house: House, folder: Path
) -> None:
    a_past(house)
    age(house)
    archive = Path(said(environment, *OLD, "--archive", str(folder))["archive"])
    with archive.open("rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        refused = refusal(run(environment, "archive", "reseal", str(archive)), 6)
    assert f"{archive} is being written: try again" in refused


def test_killed_between_the_archive_and_the_removal_it_has_lost_nothing(
    environment: dict[str, str], house: House, folder: Path
) -> None:
    for _ in range(4):
        complete(house)
    age(house)
    before = stored(house)
    execute(
        house,
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN OLD; END $$",
    )
    execute(
        house, "CREATE TRIGGER hold BEFORE DELETE ON balance_queries FOR EACH ROW EXECUTE FUNCTION hold()"
    )
    with house.database.transaction() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(7)")
        command = (sys.executable, "-m", "mpesa_balance.cli", *OLD, "--archive", str(folder))
        process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"
        eventually(lambda: rows(house, waiting), seconds=60)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    mine = "SELECT FROM pg_stat_activity WHERE application_name = 'mpesa-balance-cli'"
    eventually(lambda: not rows(house, mine))
    assert stored(house) == before
    (first,) = folder.iterdir()
    assert len(archived(house, [first])) > 0
    execute(house, "DROP TRIGGER hold ON balance_queries")
    assert said(environment, *OLD, "--archive", str(folder))["removed"]["balance_queries"] == 3
    assert archived(house, folder.iterdir()) == before - stored(house)


def test_a_worker_removes_by_itself_what_is_kept_no_longer(
    environment: dict[str, str], house: House, folder: Path, tmp_path: Path
) -> None:
    a_past(house)
    age(house)
    before = stored(house)
    with working(environment, tmp_path, RETENTION_DAYS="30", ARCHIVE_DIR=str(folder)) as worker:
        worker.app.send_task(contract.PRUNE, queue=contract.MAINTENANCE_QUEUE)
        # These go last.
        eventually(lambda: not rows(house, "SELECT FROM alerts"), seconds=90)
    gone = archived(house, folder.iterdir())
    assert gone == before - stored(house)
    assert len(gone) > 30
