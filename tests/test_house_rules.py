"""The house rules that a reader would otherwise have to check by eye."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("shared", "worker", "webhooks", "ops")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_fits_in_250_lines_and_says_first_what_it_owns(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    assert path.stem not in EMPTY_NAMES
    first = ast.get_docstring(ast.parse(text))
    assert first is not None
    assert len(first.splitlines()[0]) > 20


def test_nine_functions_in_ten_fit_in_a_glance() -> None:
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for path in SOURCES for node in functions(path)]
    assert quantiles(lengths, n=10)[-1] <= 20


def test_nobody_catches_everything() -> None:
    caught = re.compile(r"except( Base)?Exception|except:")
    assert [path for path in SOURCES if caught.search(path.read_text())] == []


def test_nothing_committed_names_a_registry_or_a_path_of_the_machine_it_was_written_on() -> None:
    words = ("pypi" + ".org", "registry" + ".npmjs", "/ro" + "ot/", "/wo" + "rk/")
    listed = subprocess.run(
        ("git", "ls-files"), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    for name in filter(None, listed):
        text = (ROOT / name).read_text(errors="replace")
        assert not any(word in text for word in words), name


def test_the_public_surface_is_documented() -> None:
    import mpesa_balance

    for name in mpesa_balance.__all__:
        assert (getattr(mpesa_balance, name).__doc__ or "").strip(), name
