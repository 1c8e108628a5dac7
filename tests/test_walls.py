"""The walls of the house: which room may import what, tried by importing and looking at sys.modules."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import GOOD_ENVIRONMENT

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "shared" / "mpesa_balance"

PURE = (
    "contract",
    "states",
    "errors",
    "balances",
    "results",
    "result_codes",
    "broker_urls",
    "callback_urls",
    "deliveries",
    "addresses",
    "answers",
    "retries",
    "crash_points",
    "outcome",
    "daraja_request",
    "redaction",
    "texts",
    "happenings",
    "alert_rules",
    "alert_checks",
    "alert_texts",
    "ids",
    "csv_files",
    "ledgers",
    "moments",
    "reconciliation",
)

HEAVY = {
    *("psycopg", "psycopg_pool", "flask", "requests", "cryptography", "marshmallow", "environs", "rich"),
    *("apprise", "prometheus_client", "structlog"),
}


def loaded_by(*modules: str) -> set[str]:
    """The top-level packages, and our own modules, that are loaded after importing these."""
    code = f"import {', '.join(modules)}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        (sys.executable, "-c", code),
        env=GOOD_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    names = done.stdout.split()
    return {name.partition(".")[0] for name in names} | {n for n in names if n.startswith("mpesa_balance.")}


def file_imports(path: Path) -> set[str]:
    """Every module that a file names in an import, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_imports_the_standard_library_and_pure_modules_only(name: str) -> None:
    allowed = {f"mpesa_balance.{pure}" for pure in PURE}
    for imported in file_imports(LIBRARY / f"{name}.py"):
        top = imported.partition(".")[0]
        assert top in sys.stdlib_module_names or any(imported.startswith(pure) for pure in allowed), (
            imported
        )


def test_what_reads_balances_brings_nothing_but_the_standard_library() -> None:
    loaded = loaded_by("mpesa_balance")
    assert not loaded & (HEAVY | {"celery", "kombu", "redis"})


def test_the_client_brings_celery_and_nothing_heavy() -> None:
    loaded = loaded_by("mpesa_balance", "mpesa_balance.client")
    assert "celery" in loaded
    assert not loaded & HEAVY


SPEAKS_SQL = sorted(
    str(path.relative_to(LIBRARY).with_suffix(""))
    for path in (*LIBRARY.glob("*.py"), *LIBRARY.glob("people/*.py"))
    if {"psycopg", "mpesa_balance.database.Connection"} & file_imports(path)
)


def test_every_room_with_tables_is_found() -> None:
    rooms = {"database", "queries", "attempts", "line", "inbox", "breaker", "diagnosis", "people/users"}
    assert rooms <= set(SPEAKS_SQL)


@pytest.mark.parametrize("name", SPEAKS_SQL)
def test_what_speaks_sql_knows_neither_celery_nor_flask_itself(name: str) -> None:
    imported = {module.partition(".")[0] for module in file_imports(LIBRARY / f"{name}.py")}
    assert imported <= sys.stdlib_module_names | {"psycopg", "psycopg_pool", "mpesa_balance"}


def test_the_webhook_tier_knows_no_database_no_worker_and_no_client_of_daraja() -> None:
    loaded = loaded_by("webhooks.app")
    assert {"flask", "marshmallow", "celery"} <= loaded
    assert not loaded & {"psycopg", "psycopg_pool", "worker", "requests", "ops"}
    assert not loaded & {"mpesa_balance.queries", "mpesa_balance.database", "mpesa_balance.shortcodes"}


def test_the_worker_knows_no_webhook_tier_and_no_flask() -> None:
    loaded = loaded_by("worker.tasks")
    assert {"celery", "psycopg", "requests", "redis"} <= loaded
    assert not loaded & {"webhooks", "flask", "ops", "marshmallow.flask"}


def test_the_console_knows_no_worker_and_no_webhook_tier() -> None:
    loaded = loaded_by("ops.console.app")
    assert {"flask", "psycopg", "celery"} <= loaded
    assert not loaded & {"worker", "webhooks", "granian", "ops.simulator"}


def test_only_the_library_speaks_sql() -> None:
    for room in ("worker", "webhooks", "ops/console"):
        for path in (ROOT / room).rglob("*.py"):
            assert not any(name.startswith("psycopg") for name in file_imports(path)), path


def test_only_one_module_sees_the_exceptions_of_requests() -> None:
    users = [
        path.name
        for path in (ROOT / "worker").glob("*.py")
        if any(name.startswith(("requests.exceptions", "requests.Req")) for name in file_imports(path))
    ]
    assert users == ["daraja.py"]


def test_only_one_module_knows_what_sends_alerts() -> None:
    users = [
        path.name
        for path in (*LIBRARY.rglob("*.py"), *(ROOT / "worker").glob("*.py"))
        if any(name.partition(".")[0] == "apprise" for name in file_imports(path))
    ]
    assert users == ["sending.py"]


def test_the_library_imports_no_program_but_by_name_at_the_command_line() -> None:
    for path in LIBRARY.rglob("*.py"):
        tops = {name.partition(".")[0] for name in file_imports(path)}
        assert not tops & {"worker", "webhooks", "ops"}, path


def test_the_command_line_needs_nothing_of_prometheus_nor_what_only_reports_need() -> None:
    assert not loaded_by("mpesa_balance.cli.main") & {
        *("prometheus_client", "reportlab", "xlsxwriter", "pyarrow")
    }
