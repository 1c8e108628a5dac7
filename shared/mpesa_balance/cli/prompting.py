"""Secrets that a command needs: from a file, the environment or a prompt, and never from an argument."""

import os
import sys
from pathlib import Path

import click

from mpesa_balance.errors import RequestRefused


def secret(variable: str, label: str, file: Path | None) -> str:
    """A secret from a file, the environment or a prompt; never from an argument, where `ps` shows it."""
    try:
        given = file.read_text().strip() if file else os.environ.get(variable, "")
    except UnicodeDecodeError:
        raise RequestRefused([f"{file} is no text: put the {label.lower()} alone into it"]) from None
    if not given and file is None and sys.stdin.isatty():
        given = click.prompt(label, hide_input=True, err=True)
    if not given:
        raise RequestRefused(
            [f"{label} is empty: give it with a -file option, in the environment or at the prompt"]
        )
    return given
