"""Registering apps and shortcodes at the command line: what is taken, and what is refused and why."""

import json
from pathlib import Path

import pytest

from mpesa_balance import apps
from mpesa_balance.cli.main import main
from tests.e2e.commands import refusal, run
from worker.house import House

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize(
    "base_url", ["http://[", "https://", "https://user:pw@host", "https://host/?x=1", "ftp://host"]
)
def test_a_base_url_that_is_no_address_of_a_host_is_refused(
    environment: dict[str, str], house: House, base_url: str
) -> None:
    secrets = {"MPESA_CONSUMER_KEY": "k", "MPESA_CONSUMER_SECRET": "s"}
    arguments = ("apps", "add", "odd", "--environment", "sandbox", "--base-url", base_url)
    line = refusal(run(environment | secrets, *arguments), 5)
    assert "the base URL" in line
    assert "pw" not in line


def test_credentials_that_cannot_be_sent_are_refused_and_not_repeated(
    environment: dict[str, str], house: House
) -> None:
    secrets = {"MPESA_CONSUMER_KEY": "ключ", "MPESA_CONSUMER_SECRET": "s"}
    line = refusal(run(environment | secrets, "apps", "add", "odd", "--environment", "sandbox"), 5)
    assert "consumer key must be plain ASCII" in line
    assert "ключ" not in line
    add = ("shortcodes", "add", "600001", "--app", "app", "--initiator", " ")
    assert "the initiator must be" in refusal(run(environment | {"MPESA_INITIATOR_PASSWORD": "p"}, *add), 5)


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
    assert "Consumer key is empty" in line


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


def test_an_app_that_is_registered_again_keeps_its_rate_unless_another_is_given(
    environment: dict[str, str], house: House
) -> None:
    secrets = {"MPESA_CONSUMER_KEY": "k", "MPESA_CONSUMER_SECRET": "s"}
    add = ("apps", "add", "paced", "--environment", "sandbox", "--json")
    rates = []
    for more in (
        ("--requests-per-second", "2.5"),
        ("--replace",),
        ("--replace", "--requests-per-second", "9"),
    ):
        done = run(environment | secrets, *add, *more)
        rates.append(json.loads(done.stdout)["requests_per_second"])
    assert rates == ["2.5", "2.5", "9"]
    refused = run(environment | secrets, *add, "--replace", "--requests-per-second", "nan")
    assert "requests per second must be from 0.001 to 1000" in refusal(refused, 5)
