"""What every report of a measurement begins with: the machine, the versions, the command."""

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def machine(program: str, setting: str, distributions: Iterable[str]) -> list[str]:
    """What wrote the report and where: two paragraphs."""
    versions = ", ".join(f"{name} {version(name)}" for name in sorted(distributions))
    cores = f"{os.cpu_count()} cores shared with other work and with the clients"
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return [
        f"Written by `python -m ops.bench.{program}` on {datetime.now(UTC):%Y-%m-%d}. {setting}",
        f"{_processor()}, {cores}; {system}; {versions}.",
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
