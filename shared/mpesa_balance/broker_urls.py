"""The address of the broker: what it may say, and the one form in which every client verifies TLS.

redis-py, kombu and Flower each read the address in a way of their own. kombu accepts any certificate
where nothing is said of certificates, so what leaves here always says that they are verified.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

TLS: Final = "rediss"

#: What an address with TLS may add: paths of PEM files.
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

#: What is said in any case; who says it himself, as Celery's documentation shows, may say nothing else.
_VERIFIED: Final = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}
_SAYS_THE_SAME: Final = {
    "ssl_cert_reqs": ("required", "CERT_REQUIRED"),
    "ssl_check_hostname": ("true", "True"),
}

_LOOPBACK: Final = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1", re.ASCII)


def check_broker_url(text: str) -> str:
    """The broker's address, such that every client of ours verifies certificates where it has TLS.

    Raises ValueError, which never repeats the address.
    """
    if not _is_address(text):
        raise ValueError(
            "must be redis://user:password@host:port/number (rediss:// with TLS), with %-escapes for "
            "special characters in the password"
        )
    given = parse_qsl(urlsplit(text).query, keep_blank_values=True)
    if not has_tls(text):
        if given:
            raise ValueError("takes nothing behind a question mark, unless it begins with rediss://")
        return text
    options = _tls_options(given)
    return f"{text.partition('?')[0]}?{urlencode(_VERIFIED | options, safe='/', quote_via=quote)}"


def tls_options(broker_url: str) -> dict[str, str] | None:
    """What Celery calls `broker_use_ssl`, for an address that was checked; None where it has no TLS."""
    if not has_tls(broker_url):
        return None
    options = dict(parse_qsl(urlsplit(broker_url).query))
    return {name: options[name] for name in ("ssl_cert_reqs", *_FILES) if name in options}


def has_tls(broker_url: str) -> bool:
    """Whether what is sent there is encrypted."""
    return urlsplit(broker_url).scheme == TLS


def is_loopback(broker_url: str) -> bool:
    """Whether what is sent there stays on this machine."""
    return bool(_LOOPBACK.fullmatch(urlsplit(broker_url).hostname or ""))


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("redis", TLS) and parts.hostname and parts.port != 0
    except ValueError:
        return False
    # kombu takes what follows a semicolon for another address.
    is_one = not parts.fragment and ";" not in text
    return bool(is_address and is_one and re.fullmatch(r"/?|/[0-9]{1,4}", parts.path, re.ASCII))


def _tls_options(given: list[tuple[str, str]]) -> dict[str, str]:
    files = {}
    for name, value in given:
        if name in _SAYS_THE_SAME:
            if value not in _SAYS_THE_SAME[name]:
                raise ValueError(
                    f"must not turn {name} off: name the authority of its certificate with "
                    "?ssl_ca_certs=/path instead"
                )
        elif name in _FILES:
            files[name] = _file(name, value)
        else:
            # Not even the name is repeated: it may be half of a password with a question mark.
            raise ValueError(f"takes only {', '.join(_FILES)} behind the question mark, joined by &")
    if "ssl_keyfile" in files and "ssl_certfile" not in files:
        raise ValueError("names an ssl_keyfile and no ssl_certfile that belongs to it")
    return files


def _file(name: str, path: str) -> str:
    # redis-py resolves %-escapes twice.
    if not path.startswith("/") or "%" in path:
        raise ValueError(f"must give {name} as an absolute path without a percent sign")
    try:
        with Path(path).open("rb"):
            return path
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path"
        raise ValueError(f"names a file in {name} that cannot be read ({why})") from None
