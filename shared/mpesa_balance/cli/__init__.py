"""The mpesa-balance command: its groups, its errors in one line, its exit codes."""

from mpesa_balance.cli.main import main

__all__ = ["main"]
