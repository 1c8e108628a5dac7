"""The security credential: the initiator's password, encrypted for M-PESA."""

import base64
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import padding

from mpesa_balance.apps import PRODUCTION, SANDBOX, App
from mpesa_balance.certificates import public_key
from mpesa_balance.errors import RequestRefused
from mpesa_balance.shortcodes import PASSWORD, Shortcode

_CERTIFICATES: Final = Path(__file__).resolve().parent.parent / "ops" / "certificates"
_FILES: Final = {SANDBOX: "SandboxCertificate.cer", PRODUCTION: "ProductionCertificate.cer"}


def security_credential(entry: Shortcode, app: App) -> str:
    """SecurityCredential for one request, in base64; a ready-made one is passed on as it is.

    RSA with PKCS#1 v1.5 padding of the plain password (Daraja, "Security Credentials"): OAEP, a
    timestamp or base64 before the encryption are all answered 2001. Raises RequestRefused where the
    app's certificate is none, or its key too short for the password.
    """
    if entry.credential_kind != PASSWORD:
        return entry.credential
    try:
        key = public_key(app.certificate or _certificate_of(app.environment))
        encrypted = key.encrypt(entry.credential.encode(), padding.PKCS1v15())
    except ValueError:
        problem = "the initiator's password is too long for the key in the app's certificate"
        raise RequestRefused(
            [f"{problem}: give it another with `mpesa-balance apps add --replace`"]
        ) from None
    return base64.b64encode(encrypted).decode()


@lru_cache(maxsize=2)
def _certificate_of(environment: str) -> bytes:
    return (_CERTIFICATES / _FILES[environment]).read_bytes()
