"""What the webhook tier says of its spool: whether accepted callbacks are safe, and reach Postgres."""

from typing import Any, Final

import requests
from urllib3.exceptions import LocationParseError

from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok, unknown, warning

#: How long one answer may take, in seconds.
_PATIENCE: Final = 5

#: A receipt takes well under a second while everything works. In seconds.
_OLD: Final = 60


def state(patient: Patient) -> list[Opinion]:
    """Whether the tier spools, and how old the oldest callback is that Postgres has not confirmed."""
    address = f"{patient.settings.callback_base_url.rstrip('/')}/health/ready"
    try:
        answer = requests.get(address, timeout=_PATIENCE, allow_redirects=False)
        spool = answer.json()["spool"] if answer.ok else None
    except (requests.RequestException, LocationParseError, ValueError, KeyError, TypeError):
        remedy = "ask it where it runs: `curl http://127.0.0.1:8080/health/ready`"
        return [unknown(f"{address} says nothing of the spool", remedy)]
    if spool is None:
        remedy = "its log says why: SPOOL_DIR must be writable, and the broker reachable from there"
        return [error(f"the webhook tier can keep no callback (HTTP {answer.status_code})", remedy)]
    return [_judged(spool)]


def _judged(spool: dict[str, Any]) -> Opinion:
    if not spool["is_spooling"]:
        remedy = "make SPOOL_DIR writable for it, on a disk with room: its log says what is wrong"
        return error("the webhook tier keeps no callback on its disk, only the broker has them", remedy)
    if spool["oldest_seconds"] > _OLD:
        remedy = (
            "see that the workers run and reach Postgres: until they give receipts, callbacks wait there"
        )
        waiting = f"{spool['depth']} callbacks, the oldest for {spool['oldest_seconds']:.0f} s"
        return warning(f"in the webhook tier's spool wait {waiting}", remedy)
    return ok(f"the webhook tier spools; {spool['depth']} callbacks wait for a receipt")
