"""The log lines of the server itself, in the form of ours: granian-logging.json names this formatter."""

import logging

from mpesa_balance import logs
from mpesa_balance.environment import Reader, load_or_exit


def formatter() -> logging.Formatter:
    """As LOG_FORMAT says; the server's own process loads no application that could have said it before."""
    return logs.formatter(load_or_exit(Reader.log_format))
