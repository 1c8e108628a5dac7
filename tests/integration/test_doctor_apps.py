"""What the doctor says of sealing keys and of Daraja apps: their hosts, certificates and tokens."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mpesa_balance.apps import BASE_URLS
from mpesa_balance.diagnosis import RegisteredApp
from mpesa_balance.sealed_columns import SEALED
from mpesa_balance.sealing import new_key, parse_sealer
from ops.doctor import daraja as doctor
from ops.doctor import keys as sealing_keys
from ops.doctor.checks import CHECKS
from ops.doctor.patient import Patient
from ops.simulator.keys import KeyPair
from tests.conftest import open_query
from tests.fakes import FakeDaraja, Reply, json_reply
from tests.integration.answers import begin, record, rows, success
from tests.integration.doctoring import only, verdicts
from worker.house import House

APP = RegisteredApp(name="app", environment="sandbox", base_url=BASE_URLS["sandbox"], certificate=None)


def other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALING_KEYS", f"other:{new_key()}")


def test_credentials_that_open_are_well(patient: Patient) -> None:
    assert "all 2" in only(sealing_keys.credentials(patient), "ok")


def test_every_credential_whose_key_is_missing_is_named(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_keys(monkeypatch)
    said = sealing_keys.credentials(patient)
    assert verdicts(said) == ["error", "error"]
    assert "daraja_apps/app/" in said[0].finding
    assert "shortcodes/600000/" in said[1].finding
    assert all("'test'" in one.finding and "SEALING_KEYS" in one.remedy for one in said)


def test_the_keys_that_a_table_needs_are_counted(patient: Patient, house: House) -> None:
    record(house, begin(house, open_query(house.database)), success())
    for table, count in (("daraja_apps", 2), ("shortcodes", 1), ("callbacks", 1), ("balances", 1)):
        assert f"{table} needs: test ({count})" in only(sealing_keys.in_use(patient, table=table), "ok")


def test_a_key_that_stored_callbacks_and_balances_need_is_missed(
    patient: Patient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that were sealed again under a new key do not tell that the old one is needed."""
    record(house, begin(house, open_query(house.database)), success())
    other_keys(monkeypatch)
    for table in ("callbacks", "balances"):
        assert "need key 'test'" in only(sealing_keys.in_use(patient, table=table), "error")


def test_a_rotation_that_is_not_finished_is_a_warning(
    patient: Patient, house: House, monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]
) -> None:
    only(sealing_keys.in_use(patient, table="shortcodes"), "ok")
    monkeypatch.setenv("SEALING_KEYS", f"{keys['SEALING_KEYS']},next:{new_key()}")
    with Patient() as prepared:
        only(sealing_keys.in_use(prepared, table="shortcodes"), "ok")
    monkeypatch.setenv("SEALING_KEYS", f"next:{new_key()},{keys['SEALING_KEYS']}")
    with Patient() as begun:
        said = only(sealing_keys.in_use(begun, table="shortcodes"), "warning")
    assert "not finished in shortcodes: test (1)" in said
    assert "`mpesa-balance keys rotate`" in said


def test_what_is_no_envelope_is_an_error_of_its_own(patient: Patient, house: House) -> None:
    rows(house, "UPDATE shortcodes SET credential = 'plain' RETURNING shortcode")
    said = only(sealing_keys.in_use(patient, table="shortcodes"), "error")
    assert "1 envelopes in shortcodes are none" in said


def test_every_table_with_envelopes_is_looked_at() -> None:
    looked_at = {
        check.name.removeprefix("keys in ") for check in CHECKS if check.name.startswith("keys in ")
    }
    assert looked_at == {column.table for column in SEALED}


def test_an_envelope_tells_its_key_whatever_else_a_table_holds(patient: Patient, house: House) -> None:
    sealed = parse_sealer(f"longer-name_2:{new_key()}").seal(b"x", "anywhere")
    rows(house, "UPDATE shortcodes SET credential = %s RETURNING shortcode", sealed)
    assert "'longer-name_2'" in only(sealing_keys.in_use(patient, table="shortcodes"), "error")


def test_an_app_that_asks_its_own_daraja_is_well() -> None:
    for app in (APP, replace(APP, environment="production", base_url=BASE_URLS["production"])):
        only(doctor.host(Patient(), app), "ok")


def test_a_simulator_is_right_for_the_sandbox_and_odd_for_production() -> None:
    simulated = replace(APP, base_url="http://127.0.0.1:8081")
    only(doctor.host(Patient(), simulated), "ok")
    only(doctor.host(Patient(), replace(simulated, environment="production")), "warning")


@pytest.mark.parametrize(("environment", "other"), [("production", "sandbox"), ("sandbox", "production")])
def test_an_app_that_asks_the_other_environments_daraja_is_told_how_to_move(
    environment: str, other: str
) -> None:
    app = replace(APP, environment=environment, base_url=BASE_URLS[other])
    said = only(doctor.host(Patient(), app), "error")
    assert f"a {environment} app asks the host of the {other}" in said
    assert f"`mpesa-balance apps add app --environment {environment} --replace`" in said


@pytest.mark.parametrize("environment", ["sandbox", "production"])
def test_safaricoms_certificates_are_well_though_they_have_expired(environment: str) -> None:
    said = only(doctor.certificate(Patient(), replace(APP, environment=environment)), "ok")
    assert "2048 bits" in said
    assert "dates do not matter" in said


def test_a_certificate_of_the_apps_own_is_looked_at_instead() -> None:
    given = replace(APP, certificate=KeyPair().certificate())
    assert "its certificate has a key of 2048 bits" in only(doctor.certificate(Patient(), given), "ok")


def test_a_certificate_that_cannot_be_read_is_an_error() -> None:
    said = only(doctor.certificate(Patient(), replace(APP, certificate=b"hello")), "error")
    assert "neither PEM nor DER" in said
    assert "--certificate FILE --replace" in said


def test_a_key_that_is_too_short_is_an_error() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    given = replace(APP, certificate=KeyPair(key).certificate())
    assert "1024 bits" in only(doctor.certificate(Patient(), given), "error")


def test_a_token_that_daraja_gives_is_well_and_is_not_told(patient: Patient, daraja: FakeDaraja) -> None:
    said = only(doctor.token(patient, patient.apps["app"]), "ok")
    assert daraja.minted == 1
    assert "token-1" not in said


def test_a_wrong_consumer_key_says_where_the_right_one_is(patient: Patient, daraja: FakeDaraja) -> None:
    daraja.token_replies.append(Reply(400))
    said = only(doctor.token(patient, patient.apps["app"]), "error")
    assert "wrong consumer key or secret" in said
    assert f"apps add app --environment sandbox --base-url {daraja.url} --replace" in said
    assert "key:secret" not in said


def test_a_daraja_that_cannot_be_reached_says_so(patient: Patient, house: House) -> None:
    rows(house, "UPDATE daraja_apps SET base_url = 'http://127.0.0.1:1' RETURNING name")
    said = only(doctor.token(patient, patient.apps["app"]), "error")
    assert "cannot be reached" in said
    assert "`curl --head http://127.0.0.1:1`" in said


def test_a_daraja_that_is_busy_is_waited_for(patient: Patient, daraja: FakeDaraja) -> None:
    daraja.token_replies.append(json_reply({"errorCode": "500.003.02", "errorMessage": "Spike"}, 500))
    said = only(doctor.token(patient, patient.apps["app"]), "error")
    assert "HTTP 500" in said
    assert "wait a few minutes" in said
