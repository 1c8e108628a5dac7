"""The compose file, the image and the stack: valid, private, and every queue watched."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from mpesa_balance.cli import checking
from mpesa_balance.contract import QUEUES
from mpesa_balance.environment import Reader, load
from ops.stack.programs import EXPOSING, Ports, console_command, programs
from tests.conftest import GOOD_ENVIRONMENT
from worker.stopping import WORKER_HAS

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "mpesa-balance"}

#: The users of Redis, and the secret that is the address for each.
REDIS_URLS = {"house": "broker_url", "webhooks": "webhooks_broker_url", "caller": "caller_broker_url"}

#: What is off by itself, and on in the network of the compose file, of which nothing is published.
INSIDE = {"METRICS_HOST": "0.0.0.0", "METRICS_PORT": "9464"}


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def watched(command: list[str]) -> set[str]:
    """The queues that a worker with this command line watches."""
    text = " ".join(command)
    return {queue for found in re.findall(r"--queues[= ](\S+)", text) for queue in found.split(",")}


def test_the_compose_file_follows_the_compose_specification() -> None:
    checked = run(
        str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"
    )
    assert checked.returncode == 0, checked.stdout


def test_the_dockerfile_has_nothing_that_its_linter_finds() -> None:
    linted = run(str(BIN / "hadolint"), "ops/Dockerfile")
    assert (linted.returncode, linted.stdout) == (0, "")


def test_nothing_is_published_but_the_webhook_port_and_to_this_host_alone_the_console() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "webhooks": ["${WEBHOOK_PORT:-8080}:8080"],
        "console": ["127.0.0.1:${CONSOLE_PORT:-8090}:8090"],
    }


def test_every_service_that_stays_up_has_a_health_check() -> None:
    assert [name for name, service in SERVICES.items() if "healthcheck" not in service] == ["migrate"]


def test_each_worker_and_beat_are_asked_by_the_name_and_the_path_that_they_have() -> None:
    (schedule,) = [option.default for option in checking.beat.params if option.name == "schedule"]
    for service in OURS.values():
        command, asked = service["command"], service.get("healthcheck", {}).get("test", [])
        if "worker" in command:
            (hostname,) = [part for part in command if part.startswith("--hostname=")]
            assert asked == ["CMD", "mpesa-balance", "health", "worker", hostname[11:].removesuffix("@%h")]
        elif "beat" in command:
            assert asked == ["CMD", "mpesa-balance", "health", "beat"]
            assert f"--schedule={schedule}" in command


def test_every_program_of_ours_runs_without_privileges() -> None:
    assert re.search(r"^USER [1-9][0-9]+$", (ROOT / "ops" / "Dockerfile").read_text(), re.MULTILINE)
    for service in OURS.values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_secrets_come_as_files_and_the_webhook_tier_gets_none_for_the_database() -> None:
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            assert (
                name.endswith("_FILE")
                or not re.search(r"PASSWORD|SECRET|KEYS|_URL$", name)
                or name in ("CALLBACK_BASE_URL", "CONSOLE_URL")
            )
    assert "database_url" not in SERVICES["webhooks"]["secrets"]


def test_the_webhook_tier_gets_its_own_user_of_redis_and_no_other_program_gets_that() -> None:
    for name, service in OURS.items():
        (url,) = {secret for secret in service["secrets"] if secret.endswith("broker_url")}
        assert url == ("webhooks_broker_url" if name == "webhooks" else "broker_url")
        assert service["environment"]["BROKER_URL_FILE"] == f"/run/secrets/{url}"


def test_what_compose_must_be_told_is_written_where_each_of_its_commands_reads_it() -> None:
    """It reads the whole file for each of them, and refuses where something is missing."""
    demanded = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    written = set(re.findall(r"^echo (\w+)=\S+ > \.env", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert demanded == written
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_links_to_the_console_are_made_with_its_address_wherever_they_are_made() -> None:
    told = {
        service["environment"].get("CONSOLE_URL") for name, service in OURS.items() if name != "webhooks"
    }
    assert len(told) == 1


def test_every_setting_in_the_compose_file_is_one_that_we_know() -> None:
    known = (ROOT / ".env.example").read_text()
    for service in OURS.values():
        for name in service["environment"]:
            assert name.removesuffix("_FILE") in known


@pytest.mark.parametrize(
    ("service", "read"),
    [("callbacks", Reader.worker), ("webhooks", Reader.webhooks), ("console", Reader.console)],
)
def test_every_setting_can_be_given_through_the_compose_file(
    service: str, read: Callable[[Reader], object]
) -> None:
    reader = Reader()
    read(reader)
    given = OURS[service]["environment"]
    for name, default in reader.read.items():
        if default is None:
            assert f"{name}_FILE" in given or name == "CALLBACK_BASE_URL"
        elif name not in ("SPOOL_DIR", "ARCHIVE_DIR"):
            assert given[name] == f"${{{name}:-{INSIDE.get(name, default)}}}"


def test_every_queue_is_watched_by_exactly_one_kind_of_worker_in_the_compose_file() -> None:
    found = [queue for service in OURS.values() for queue in watched(service["command"])]
    assert sorted(found) == sorted(set(QUEUES.values()))


def test_every_queue_is_watched_by_exactly_one_kind_of_worker_in_the_stack() -> None:
    ports = Ports(webhooks=1, flower=2, console=5, redis=3, simulator=4)
    listed = programs(Path("/state"), ports, simulated=True)
    found = [queue for program in listed for queue in watched(list(program.command))]
    assert sorted(found) == sorted(set(QUEUES.values()))


def test_no_worker_is_killed_before_it_has_had_the_time_that_it_takes_to_end() -> None:
    ports = Ports(webhooks=1, flower=2, console=5, redis=3, simulator=4)
    listed = programs(Path("/state"), ports, simulated=True)
    given = [float(program.patience) for program in listed if watched(list(program.command))]
    workers = [service for service in OURS.values() if watched(service["command"])]
    given += [float(worker["stop_grace_period"].removesuffix("s")) for worker in workers]
    assert len(given) == 4
    assert min(given) > WORKER_HAS


def test_each_program_of_the_stack_tells_of_itself_on_a_port_of_its_own_and_on_loopback() -> None:
    metrics = {name: number for number, name in enumerate(EXPOSING, 5)}
    ports = Ports(webhooks=1, flower=2, console=5, redis=3, simulator=4, metrics=metrics)
    given = {one.name: one.environment for one in programs(Path("/state"), ports, simulated=True)}
    told = {name: own for name, own in given.items() if "METRICS_PORT" in own}
    assert {name: int(own["METRICS_PORT"]) for name, own in told.items()} == metrics
    assert {own["METRICS_HOST"] for own in told.values()} == {"127.0.0.1"}


def test_the_console_is_served_in_compose_as_on_one_machine() -> None:
    ours = " ".join(console_command(8090)[2:]).replace("127.0.0.1", "0.0.0.0")
    assert ours == " ".join(SERVICES["console"]["command"]).replace("=", " ")


def test_the_broker_keeps_what_it_has_and_forgets_nothing() -> None:
    settings = (ROOT / "ops" / "redis.conf").read_text()
    assert "\nappendonly yes\n" in settings
    assert "\nmaxmemory-policy noeviction\n" in settings


def test_secrets_are_made_once_and_fit_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    assert run(sys.executable, "ops/new_secrets.py", str(folder)).returncode == 0
    assert {path.name for path in folder.iterdir()} == set(COMPOSE["secrets"])
    for name in ("DATABASE_URL", "BROKER_URL", "SEALING_KEYS", "CALLBACK_KEYS", "CONSOLE_KEYS"):
        monkeypatch.setenv(f"{name}_FILE", str(folder / name.lower()))
    monkeypatch.setenv("CALLBACK_BASE_URL", "https://pay.example.co.ke")
    assert load(Reader.worker)
    assert load(Reader.console)
    for user, url in REDIS_URLS.items():
        monkeypatch.setenv("BROKER_URL_FILE", str(folder / url))
        address = urlsplit(load(Reader.broker).broker_url)
        assert (address.username, address.password) == (
            user,
            (folder / f"redis_{user}_password").read_text()[:-1],
        )
    again = run(sys.executable, "ops/new_secrets.py", str(folder))
    assert again.returncode == 1
    assert "already" in again.stderr


def test_every_task_is_routed_to_a_queue_of_the_contract() -> None:
    """Asks the real application, which reads its settings as it is imported."""
    code = (
        "import worker.tasks\nfrom worker.app import app\n"
        "from mpesa_balance.contract import CANARY, QUEUES\n"
        "ours = {name for name in app.tasks if not name.startswith('celery.')}\n"
        "assert ours == {*QUEUES, CANARY}, ours\n"
        "assert all(app.amqp.router.route({}, name)['queue'].name == QUEUES[name] for name in QUEUES)\n"
        "assert app.conf.accept_content == ['json'] and app.conf.task_serializer == 'json'\n"
        "assert not app.conf.task_create_missing_queues and app.conf.task_acks_late\n"
        "from mpesa_balance.errors import SchemaOutdated, Unavailable\n"
        "patient = [name for name in ours if hasattr(app.tasks[name], 'autoretry_for')]\n"
        "assert len(patient) == 4 and all(app.tasks[name].max_retries is None for name in patient)\n"
        "retried = [set(app.tasks[name].autoretry_for) for name in patient]\n"
        "assert all({Unavailable, SchemaOutdated} <= faults for faults in retried)\n"
        "from uuid import uuid4\nfrom worker.bells import Bells\n"
        "Bells().submit(uuid4())\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", code), env=GOOD_ENVIRONMENT, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
