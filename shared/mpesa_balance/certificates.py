"""The public key in a certificate for security credentials, whichever way the file is written."""

from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from mpesa_balance.errors import RequestRefused


@lru_cache(maxsize=32)
def public_key(certificate: bytes) -> rsa.RSAPublicKey:
    """The RSA key in a PEM or DER certificate. Raises RequestRefused.

    Safaricom's own have expired as certificates and are still in use as keys, so no date is checked.
    """
    is_pem = certificate.lstrip().startswith(b"-----")
    load = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
    try:
        key = load(certificate).public_key()
    except ValueError as error:
        raise RequestRefused(["the certificate is neither PEM nor DER"]) from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise RequestRefused(["the certificate holds no RSA key, which M-PESA needs"])
    return key
