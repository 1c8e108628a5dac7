"""The security credential is what M-PESA can decrypt, made as Daraja says."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from mpesa_balance.apps import App
from mpesa_balance.errors import RequestRefused
from mpesa_balance.shortcodes import PASSWORD, SECURITY_CREDENTIAL, Shortcode
from ops.simulator.keys import KeyPair
from tests.conftest import entry_of
from worker.credentials import security_credential

PAIR = KeyPair()


def app(environment: str = "sandbox", certificate: bytes | None = None) -> App:
    return App(
        name="app",
        environment=environment,
        base_url="https://x",
        certificate=certificate,
        consumer_key="k",
        consumer_secret="s",
    )


def entry(kind: str = PASSWORD) -> Shortcode:
    return replace(entry_of(), credential_kind=kind)


def test_the_holder_of_the_private_key_reads_the_plain_password() -> None:
    made = security_credential(entry(), app(certificate=PAIR.certificate()))
    assert PAIR.password_in(made) == "Pa55word"


@pytest.mark.parametrize("environment", ["sandbox", "production"])
def test_safaricoms_certificates_make_a_credential_of_2048_bits(environment: str) -> None:
    made = security_credential(entry(), app(environment))
    assert len(made) == 344
    assert len(base64.b64decode(made)) == 256


def test_each_environment_has_its_own_certificate() -> None:
    from worker.credentials import _certificate_of

    folder = Path(__file__).parents[2] / "ops" / "certificates"
    assert _certificate_of("sandbox") == (folder / "SandboxCertificate.cer").read_bytes()
    assert _certificate_of("production") == (folder / "ProductionCertificate.cer").read_bytes()


def test_a_ready_made_credential_is_passed_on_as_it_is() -> None:
    assert security_credential(entry(SECURITY_CREDENTIAL), app()) == "Pa55word"


def test_a_file_that_is_no_certificate_says_so() -> None:
    with pytest.raises(RequestRefused, match="neither PEM nor DER"):
        security_credential(entry(), app(certificate=b"hello"))
