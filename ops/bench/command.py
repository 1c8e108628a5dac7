"""The command line of a measurement: what every one of them can be told, and where its report goes."""

import argparse
from pathlib import Path


def parser(about: str | None, parts: str, report: Path) -> argparse.ArgumentParser:
    """A parser with `rounds`, `only` and `report`; `parts` says what the measurement goes through."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--rounds", type=int, default=2)
    made.add_argument("--only", default="", help=f"a part of the names of the {parts}")
    made.add_argument("--report", type=Path, default=report)
    return made


def publish(text: str, report: Path) -> None:
    """Print a report and keep it in its file."""
    print(text)
    report.parent.mkdir(exist_ok=True)
    report.write_text(text)
