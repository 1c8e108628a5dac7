"""`mpesa-balance keys` as a person runs it: a rotation, also killed and begun again; which key may go."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import kombu
import pytest
import redis

from mpesa_balance.apps import App
from mpesa_balance.contract import CALLBACKS_QUEUE, UNROUTABLE_QUEUE
from mpesa_balance.database import Database
from mpesa_balance.sealed_columns import census
from mpesa_balance.sealing import new_key
from ops.key_uses import in_broker
from tests.e2e.commands import refusal, run
from tests.integration.answers import record, rows, success
from tests.integration.rotating import (
    CALLBACKS,
    QUARANTINE,
    breaks,
    database_with,
    fill,
    one_callback,
    open_all,
    quarantine_callback,
)
from tests.waiting import eventually
from webhooks.publisher import Publisher
from webhooks.spool import Spool
from worker.house import House
from worker.tokens import NAMES

pytestmark = pytest.mark.slow

ROTATE = ("keys", "rotate")
DROP = ("keys", "drop", "test")


@pytest.fixture
def new() -> str:
    return f"new:{new_key()}"


@pytest.fixture
def spool(folder: Path) -> Iterator[Spool]:
    """An empty spool of this machine's webhook tier."""
    with closing(Spool(folder / "0.sqlite")) as made:
        yield made


@pytest.fixture
def after(environment: dict[str, str], house: House, new: str, spool: Spool) -> dict[str, str]:
    """The settings of a command once the new key is first everywhere."""
    grown = f"{new},{environment['SEALING_KEYS']}"
    return environment | {"SEALING_KEYS": grown, "SPOOL_DIR": str(spool.path.parent)}


@pytest.fixture
def rotated(house: House, new: str) -> Iterator[Database]:
    """The database as a program sees it that has the new key only."""
    made = database_with(house, new)
    yield made
    made.close()


def said(done: "subprocess.CompletedProcess[str]", *never: str) -> str:
    """All that a command has said, which holds neither a key nor an amount nor a credential."""
    for secret in (*never, "700000", "Pa55word"):
        assert secret not in done.stdout + done.stderr
    return done.stdout + done.stderr


def change(house: House, *statements: str) -> None:
    with house.database.transaction() as connection:
        for statement in statements:
            connection.execute(statement)


def secrets_in(settings: dict[str, str]) -> list[str]:
    return [entry.partition(":")[2] for entry in settings["SEALING_KEYS"].split(",")]


def test_a_rotation_says_what_it_did_and_what_to_do_next(
    after: dict[str, str], house: House, rotated: Database
) -> None:
    fill(house)
    done = run(after, *ROTATE)
    assert done.returncode == 0, done.stderr
    text = " ".join(said(done, *secrets_in(after)).split())
    assert "callbacks.payload │ 3 │ 0" in text
    assert "callbacks.payload: 100 %" in done.stderr
    assert "Everything in Postgres is sealed with key 'new'. Next: `mpesa-balance keys drop test`" in text
    assert open_all(rotated) == 3
    again = run(after, *ROTATE, "--json")
    assert again.returncode == 0
    document = json.loads(again.stdout)
    assert (document["key"], document["is_finished"]) == ("new", True)
    assert {(one["sealed_anew"], one["broken"], len(one["left"])) for one in document["columns"]} == {
        (0, 0, 0)
    }


def test_with_one_key_there_is_nothing_to_rotate_to(environment: dict[str, str], house: House) -> None:
    assert "There is no other key in SEALING_KEYS" in run(environment, *ROTATE).stdout


def test_rows_that_do_not_open_are_named_and_counted_and_the_others_are_done(
    after: dict[str, str], house: House
) -> None:
    fill(house)
    breaks(house, CALLBACKS, b"\x01\x04gone" + b"x" * 40)
    done = run(after, *ROTATE)
    assert done.returncode == 1
    text = " ".join(said(done).split())
    assert "callbacks.payload │ 2 │ 1 │ gone (1)" in text
    assert "Does not open: callbacks/" in text
    assert "is sealed with key 'gone': add that key to SEALING_KEYS" in text
    assert "What does not open was left as it is" in text
    breaks(house, CALLBACKS, b"x")
    done = run(after, *ROTATE, "--json")
    assert done.returncode == 1
    (found,) = [one for one in json.loads(done.stdout)["columns"] if one["broken"]]
    assert found["left"] == {"no envelope": 1}
    assert "is not a sealed envelope" in found["problems"][0]


def test_a_task_under_the_first_key_that_does_not_open_is_told_as_well(
    after: dict[str, str], house: House
) -> None:
    quarantine_callback(house)
    assert run(after, *ROTATE).returncode == 0
    breaks(house, QUARANTINE, b"\x01\x03new" + b"x" * 40)
    done = run(after, *ROTATE, "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["is_finished"] is False
    broken = {one["column"]: one["broken"] for one in document["columns"]}
    assert broken[QUARANTINE.name] == 1


def test_what_a_program_seals_with_the_old_key_meanwhile_is_told(
    after: dict[str, str], house: House
) -> None:
    """It was not restarted: an app that was done is registered again while callbacks are being done."""
    record(house, uuid4(), success())
    change(
        house,
        "CREATE TABLE was AS SELECT consumer_key FROM daraja_apps",
        "CREATE FUNCTION registered_again() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE daraja_apps SET consumer_key = (SELECT consumer_key FROM was); RETURN NEW; END $$",
        "CREATE TRIGGER again AFTER UPDATE OF payload ON callbacks "
        "FOR EACH ROW EXECUTE FUNCTION registered_again()",
    )
    done = run(after, *ROTATE)
    assert done.returncode == 1
    assert "Restart every program with 'new' first in SEALING_KEYS" in " ".join(done.stdout.split())
    assert "test (1)" in done.stdout


def test_a_rotation_that_is_killed_in_the_middle_of_a_batch_is_begun_again(
    after: dict[str, str], house: House, rotated: Database, keys: dict[str, str]
) -> None:
    """It stands between two rows of one transaction, where it waits for a lock that we hold."""
    fill(house, balances=5)
    change(
        house,
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$",
    )
    middle = "(SELECT attempt_id FROM callbacks ORDER BY attempt_id OFFSET 2 LIMIT 1)"
    (third,) = rows(house, f"SELECT attempt_id FROM callbacks WHERE attempt_id = {middle}")
    trigger = "CREATE TRIGGER hold BEFORE UPDATE OF payload ON callbacks FOR EACH ROW "
    change(house, f"{trigger} WHEN (OLD.attempt_id = '{third['attempt_id']}') EXECUTE FUNCTION hold()")
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"
    with house.database.transaction() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(7)")
        command = (sys.executable, "-m", "mpesa_balance.cli", *ROTATE)
        process = subprocess.Popen(command, env={**os.environ, **after}, stderr=subprocess.DEVNULL)
        eventually(lambda: rows(house, waiting), seconds=60)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    mine = "SELECT FROM pg_stat_activity WHERE application_name = 'mpesa-balance-cli'"
    eventually(lambda: not rows(house, mine))
    with closing(database_with(house, after["SEALING_KEYS"])) as both:
        found = census(both)
        assert open_all(both) == 5
    # What was committed before stays; of the transaction nothing does.
    assert found["shortcodes.credential"] == {"new": 1}
    assert found["callbacks.payload"] == {"test": 5}
    change(house, "DROP TRIGGER hold ON callbacks")
    assert run(after, *ROTATE).returncode == 0
    assert open_all(rotated) == 5


def test_a_key_that_nothing_needs_may_go(after: dict[str, str], house: House, spool: Spool) -> None:
    fill(house)
    assert run(after, *ROTATE).returncode == 0
    # Somebody mints a token: the lock is no envelope.
    redis.Redis.from_url(after["BROKER_URL"]).set(f"{NAMES}app:0:minting", uuid4().hex)
    done = run(after, *DROP)
    assert done.returncode == 0, done.stderr
    text = said(done, *secrets_in(after))
    assert "Remove it from SEALING_KEYS of every program" in text
    document = json.loads(run(after, *DROP, "--json").stdout)
    assert document["key"] == "test"
    assert document["not_looked_at"] is None
    places = {str(spool.path), "tokens", CALLBACKS_QUEUE, UNROUTABLE_QUEUE, "unacked", "callbacks.payload"}
    assert places <= set(document["looked_at"])


def in_postgres(house: House, spool: Spool) -> None:
    record(house, uuid4(), success())


def in_quarantine(house: House, spool: Spool) -> None:
    quarantine_callback(house)


def in_a_token(house: House, spool: Spool) -> None:
    (found,) = rows(house, "SELECT name, environment, base_url FROM daraja_apps")
    house.tokens.current(App(**found, consumer_key="key", consumer_secret="secret"))


def in_the_queue(house: House, spool: Spool) -> None:
    Publisher(house.settings.broker).publish([one_callback(house), one_callback(house)])


def in_the_spool(house: House, spool: Spool) -> None:
    spool.write([one_callback(house), one_callback(house)])


def in_an_undeclared_queue(house: House, spool: Spool) -> None:
    in_the_queue(house, spool)
    broker = redis.Redis.from_url(house.settings.broker.broker_url)
    broker.rename(CALLBACKS_QUEUE, UNROUTABLE_QUEUE)


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (
            in_postgres,
            "1 envelope in callbacks.payload sealed with key 'test': `mpesa-balance keys rotate`",
        ),
        (in_quarantine, "2 envelopes in quarantined_tasks.message"),
        (in_a_token, "1 envelope in tokens sealed with key 'test': it ends within an hour"),
        (in_the_queue, f"2 envelopes in {CALLBACKS_QUEUE} sealed with key 'test': wait"),
        (
            in_an_undeclared_queue,
            f"2 envelopes in {UNROUTABLE_QUEUE} sealed with key 'test': `mpesa-balance doc",
        ),
        (in_the_spool, "0.sqlite sealed with key 'test': wait until the workers have recorded it"),
    ],
)
def test_a_key_in_use_may_not_go_and_it_is_said_where(
    after: dict[str, str],
    house: House,
    spool: Spool,
    used: Callable[[House, Spool], None],
    words: str,
) -> None:
    assert run(after, *ROTATE).returncode == 0
    used(house, spool)
    done = run(after, *DROP)
    line = refusal(done, 5)
    assert words in line
    assert line.count("sealed with") == 1
    said(done, *secrets_in(after))


def test_a_message_that_a_worker_has_taken_and_not_done_is_found(
    after: dict[str, str], house: House
) -> None:
    assert run(after, *ROTATE).returncode == 0
    in_the_queue(house, None)  # type: ignore[arg-type]
    with ExitStack() as taken:
        connection = taken.enter_context(kombu.Connection(house.settings.broker.broker_url))
        message = taken.enter_context(connection.SimpleQueue(CALLBACKS_QUEUE)).get(timeout=5)
        assert "2 envelopes in unacked" in refusal(run(after, *DROP), 5)
        message.ack()
        assert run(after, *DROP).returncode == 0


def test_all_queues_are_looked_at_at_one_moment(broker_url: str) -> None:
    """A message that goes back to its queue between two looks would be in neither."""
    broker = redis.Redis.from_url(broker_url)
    broker.config_resetstat()
    in_broker(broker_url)
    stats = broker.info("commandstats")
    assert stats["cmdstat_exec"]["calls"] == stats["cmdstat_hvals"]["calls"] == 1


def test_a_spool_that_is_not_here_is_not_passed_over_in_silence(
    after: dict[str, str], house: House, spool: Spool, tmp_path: Path
) -> None:
    assert run(after, *ROTATE).returncode == 0
    for elsewhere, why in ((tmp_path, "no spool in"), (tmp_path / "x", "No such file")):
        settings = after | {"SPOOL_DIR": str(elsewhere)}
        done = run(settings, *DROP)
        assert done.returncode == 3
        assert why in done.stdout
        assert "keys drop test --only-spool" in " ".join(done.stdout.split())
        assert json.loads(run(settings, *DROP, "--json").stdout)["not_looked_at"]
        assert why in refusal(run(settings, *DROP, "--only-spool"), 6)


def test_the_webhook_tiers_host_looks_at_its_spools_and_needs_no_database(
    after: dict[str, str], house: House, spool: Spool
) -> None:
    settings = {name: after[name] for name in ("SEALING_KEYS", "SPOOL_DIR")}
    done = run(settings, *DROP, "--only-spool")
    assert done.returncode == 0, done.stderr
    assert "Nothing is sealed with key 'test' in" in done.stdout
    in_the_spool(house, spool)
    line = refusal(run(settings, *DROP, "--only-spool"), 5)
    assert f"2 envelopes in {spool.path} sealed with key 'test'" in line


def test_a_key_that_is_not_there_and_the_key_that_seals_are_refused(after: dict[str, str]) -> None:
    (seals, _) = secrets_in(after)
    for typed in ("nobody", f"new:{seals}", seals):
        line = refusal(run(after, "keys", "drop", typed), 4)
        assert "it holds new, test" in line
        assert seals not in line
    assert "'new' is the first of SEALING_KEYS" in refusal(run(after, "keys", "drop", "new"), 5)


def test_where_redis_or_postgres_is_away_nothing_is_allowed(after: dict[str, str], house: House) -> None:
    away = after | {"BROKER_URL": "redis://:hunter2@127.0.0.1:1/0"}
    line = refusal(run(away, *DROP), 6)
    assert "BROKER_URL" in line
    assert "hunter2" not in line
    gone = after | {"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/db"}
    for command in (DROP, ROTATE):
        done = run(gone, *command)
        assert done.returncode == 6
        assert "hunter2" not in done.stderr
