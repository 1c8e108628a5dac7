"""The payloads that were seen or documented, and what a correct system makes of each."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "samples"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text())


def of_kind(kind: str, *prefixes: str) -> list[str]:
    """Names of the samples of a kind, all of them or those that start so."""
    return [
        name
        for name, expected in sorted(EXPECTED.items())
        if expected["kind"] == kind and name.startswith(prefixes or ("",))
    ]


def payload(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def document(name: str) -> Any:
    return json.loads(payload(name))
