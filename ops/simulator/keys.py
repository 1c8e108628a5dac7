"""The simulator's own key pair: it must decrypt what is encrypted for it, as M-PESA does."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from mpesa_balance.errors import MpesaBalanceError


def _read(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, OSError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise MpesaBalanceError(f"{path} holds no RSA key: remove it and a new one is made")
    return key


class KeyPair:
    """An RSA key pair with a certificate for it."""

    def __init__(self, key: rsa.RSAPrivateKey | None = None) -> None:
        self._key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @classmethod
    def kept_in(cls, path: Path) -> "KeyPair":
        """The key pair in a PEM file, made and written there where there is none.

        Raises MpesaBalanceError where the file holds something else or cannot be written.
        """
        if path.exists():
            return cls(_read(path))
        pair = cls()
        try:
            path.touch(mode=0o600)
            path.write_bytes(pair._pem())
        except OSError as error:
            raise MpesaBalanceError(f"the key cannot be kept in {path}: {error.strerror}") from error
        return pair

    def certificate(self) -> bytes:
        """A self-signed certificate (PEM), as Safaricom publishes one for each environment."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Daraja simulator")])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3650))
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def password_in(self, security_credential: str) -> str | None:
        """The password that was encrypted; None where it was not encrypted for this key."""
        try:
            encrypted = base64.b64decode(security_credential, validate=True)
            return self._key.decrypt(encrypted, padding.PKCS1v15()).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return None

    def _pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
