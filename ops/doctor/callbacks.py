"""Whether Daraja may use the callback address, and whether our webhook tier is behind it."""

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import LocationParseError

from mpesa_balance.apps import BASE_URLS, PRODUCTION
from mpesa_balance.callback_urls import PATH, RESULT, CallbackSigner, base_url_violations
from mpesa_balance.diagnosis import RegisteredApp
from mpesa_balance.errors import CallbackRejected
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok

#: How long one answer may take, in seconds. Daraja gives up soon as well.
_PATIENCE: Final = 5

#: What leaves requests where no answer came; the second for a host whose name is none.
_FAULTS: Final = (requests.RequestException, LocationParseError)

#: A token that nobody has signed.
FORGED: Final = "0" * 64

_NOT_PROVED: Final = "this does not prove that Safaricom reaches it"

_RULES: Final = (
    "set CALLBACK_BASE_URL, for the workers, to the public https:// address of the webhook tier, "
    "and start the workers again"
)


def rules(patient: Patient) -> list[Opinion]:
    """Whether Daraja takes the address as a callback address."""
    return judge_address(patient.settings.callback_base_url, patient.apps.values())


def judge_address(base_url: str, registered: Collection[RegisteredApp]) -> list[Opinion]:
    """What to say of a callback address that these apps give to Daraja."""
    production = any(app.environment == PRODUCTION for app in registered)
    wrong = base_url_violations(base_url, production=production)
    # The simulator and its like are on this machine themselves.
    asks_safaricom = any(app.base_url in BASE_URLS.values() for app in registered)
    if asks_safaricom and _is_private(base_url):
        wrong.append(f"{base_url} is an address of this machine or network, and Safaricom is in neither")
    return [error(problem, _RULES) for problem in wrong] or [ok(f"Daraja may call {base_url}")]


def alive(patient: Patient) -> list[Opinion]:
    """Whether something answers there, and says that it is alive."""
    address = f"{_base_url(patient)}/health/live"
    try:
        status = requests.get(address, timeout=_PATIENCE, allow_redirects=False).status_code
    except _FAULTS as fault:
        return [_unreachable(address, fault)]
    if status != requests.codes.ok:
        remedy = "have the proxy pass everything below CALLBACK_BASE_URL to the webhook tier, unchanged"
        return [error(f"GET {address} is answered with {status}, not 200", remedy)]
    return [ok(f"{address} answers from here; {_NOT_PROVED}")]


def guarded(patient: Patient) -> list[Opinion]:
    """Whether what answers is our webhook tier, and refuses a token that nobody signed."""
    where = f"POST {_base_url(patient)}{PATH}/..."
    address = f"{_base_url(patient)}{PATH}/{FORGED}/{RESULT}"
    try:
        answer = requests.post(address, json={}, timeout=_PATIENCE, allow_redirects=False)
    except _FAULTS as fault:
        return [_unreachable(where, fault)]
    expected = _refusal(patient.settings.callbacks.signer)
    if answer.status_code < requests.codes.multiple_choices:
        remedy = "stop what answers there: it takes callbacks that anybody can forge"
        return [error(f"{where} took a forged token (HTTP {answer.status_code})", remedy)]
    if (answer.status_code, _said(answer)) != (expected.status, str(expected)):
        remedy = f"have proxy and firewall pass POST {PATH}/... to the webhook tier, unchanged"
        return [error(f"{where} is answered with {answer.status_code}, not by our webhook tier", remedy)]
    return [ok(f"{where} is ours, and refuses a forged token")]


def _base_url(patient: Patient) -> str:
    return patient.settings.callback_base_url.rstrip("/")


def _refusal(signer: CallbackSigner) -> CallbackRejected:
    """What our own door says to a forged token."""
    try:
        signer.attempt_id(FORGED)
    except CallbackRejected as refused:
        return refused
    raise AssertionError("a token of zeros was signed")


def _said(answer: requests.Response) -> str | None:
    try:
        document = answer.json()
    except requests.JSONDecodeError:
        return None
    return document.get("ResultDesc") if isinstance(document, dict) else None


def _unreachable(address: str, fault: Exception) -> Opinion:
    if isinstance(fault, requests.exceptions.SSLError):
        parts = urlsplit(address.removeprefix("POST "))
        remedy = (
            "give the proxy its whole TLS chain (fullchain.pem, not cert.pem), valid for this name: "
            f"`openssl s_client -connect {parts.hostname}:{parts.port or 443}` shows what it sends"
        )
        return error(f"{address}: the TLS certificate cannot be verified", remedy)
    remedy = (
        "start the webhook tier and what is in front of it, or correct CALLBACK_BASE_URL; where hosts of a "
        "network may not use its public address, ask from outside: `curl -i CALLBACK_BASE_URL/health/live`"
    )
    return error(f"{address} does not answer from here ({type(fault).__name__})", remedy)


def _is_private(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host
