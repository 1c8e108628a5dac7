"""Checks of single settings: each gives what a text stands for, or ValueError says what it must be."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mpesa_balance.callback_urls import CallbackSigner, base_url_violations
from mpesa_balance.sealing import parse_key

#: Where nobody else listens to what is sent without encryption.
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def database_url(text: str) -> str:
    """The address of a Postgres."""
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must be an address that starts with postgresql://")
    return text


def log_level(text: str) -> str:
    """How much is told."""
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()


def log_format(text: str) -> str:
    """How log lines look."""
    if text.lower() not in ("auto", "json", "console"):
        raise ValueError("must be auto, json or console")
    return text.lower()


def directory(text: str) -> Path:
    """A directory, by its absolute path."""
    if not Path(text).is_absolute():
        raise ValueError("must be the absolute path of a directory")
    return Path(text)


def archive_directory(text: str) -> str:
    """Where archives go, where there are to be any."""
    if not Path(text).is_absolute():
        raise ValueError(
            "must be the absolute path of a directory where RETENTION_DAYS is not 0: what ended longer ago "
            "is archived there before it is removed"
        )
    return text


def signer(text: str) -> CallbackSigner:
    """The keys of callback addresses."""
    return CallbackSigner(keys(text))


def callback_base_url(text: str) -> str:
    """Where Daraja reaches the webhook tier."""
    # Whether HTTPS is demanded depends on the app that a query goes to, and is checked there.
    if violations := base_url_violations(text, production=False):
        raise ValueError("is not usable: " + "; ".join(violations))
    return text


def seconds(text: str) -> tuple[int, ...]:
    """Several times, in seconds."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ValueError("must be whole seconds separated by commas, such as 5,15,60")
    return tuple(int(part) for part in parts)


def console_url(text: str) -> str:
    """Where people reach the console; passwords go there, so it is encrypted or on this machine."""
    parts = urlsplit(text)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if (
        not (is_safe and parts.hostname)
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or parts.username
    ):
        raise ValueError(
            "must be https:// and a host, and perhaps a port, without a path; http:// only for this machine"
        )
    return f"{parts.scheme}://{parts.netloc}"


def keys(text: str) -> tuple[bytes, ...]:
    """Keys to sign with, the first for what is new."""
    return tuple(parse_key(key.strip()) for key in text.split(","))


def https_url(text: str) -> str:
    """Somewhere that is spoken to encrypted, or on this machine."""
    parts = urlsplit(text)
    if not parts.hostname or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
        raise ValueError("must be an https:// address")
    return text.rstrip("/")
