"""What the doctor says of each shortcode, and the four troubles that people search for by name."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from mpesa_balance import breaker
from mpesa_balance import queries as query_verbs
from mpesa_balance import shortcodes as registry
from mpesa_balance.callback_urls import TIMEOUT
from mpesa_balance.diagnosis import RegisteredShortcode
from mpesa_balance.errors import NotFound
from mpesa_balance.queries import Ending
from mpesa_balance.shortcodes import SECURITY_CREDENTIAL
from ops.doctor import queries, shortcodes, troubles
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion
from tests import samples
from tests.conftest import SHORTCODE, open_query
from tests.fakes import FakeDaraja, Reply, json_reply
from tests.integration.answers import begin, failure, record, rows, success
from tests.integration.doctoring import only, verdicts
from worker.house import House
from worker.submission import submit

Examine = Callable[[Patient, RegisteredShortcode], list[Opinion]]

ZEROS = "Working Account|KES|0.00|0.00|0.00|0.00&Utility Account|KES|0.00|0.00|0.00|0.00"


def say(check: Examine, patient: Patient, verdict: str) -> str:
    """All that a check says of the test's shortcode."""
    return only(check(patient, patient.shortcodes[SHORTCODE]), verdict)


def change(house: House, **columns: Any) -> None:
    for column, value in columns.items():
        rows(house, f"UPDATE shortcodes SET {column} = %s RETURNING shortcode", value)


def set_credential(house: House, **changed: str) -> None:
    with house.database.transaction() as connection:
        entry = registry.named(connection, house.database.sealer, SHORTCODE)
        registry.add(connection, house.database.sealer, replace(entry, **changed), replace=True)  # type: ignore[arg-type]


def answered(house: House, payload: bytes) -> UUID:
    """A query that was called back with this, whatever came before."""
    resume(house)
    query_id = open_query(house.database)
    record(house, begin(house, query_id), payload)
    return query_id


def refused(house: House, daraja: FakeDaraja, reply: Reply) -> None:
    """A query that Daraja refused over HTTP."""
    resume(house)
    daraja.replies.append(reply)
    submit(house, open_query(house.database))


def resume(house: House) -> None:
    with house.database.transaction() as connection:
        breaker.resume(connection, SHORTCODE)


def test_a_registered_shortcode_says_who_asks_for_it(patient: Patient) -> None:
    assert "shortcodes looked at: 1" in only(shortcodes.registered(patient), "ok")
    said = say(shortcodes.place, patient, "ok")
    assert "as shortcode under sandbox app app, asked for by testapi" in said


def test_a_shortcode_that_is_not_registered_is_not_found(patient: Patient) -> None:
    with Patient("699999") as other, pytest.raises(NotFound, match="shortcodes add 699999"):
        shortcodes.registered(other)


def test_where_nothing_is_registered_the_next_command_is_told(patient: Patient, house: House) -> None:
    rows(house, "DELETE FROM shortcodes RETURNING shortcode")
    assert "mpesa-balance shortcodes add" in only(shortcodes.registered(patient), "warning")
    rows(house, "DELETE FROM daraja_apps RETURNING name")
    with Patient() as empty:
        assert "mpesa-balance apps add" in only(shortcodes.registered(empty), "warning")


@pytest.mark.parametrize("number", ["600000", "174379", "600998"])
def test_a_test_number_under_a_production_app_is_an_invalid_shortcode(number: str) -> None:
    entry = RegisteredShortcode(
        shortcode=number,
        app="live",
        environment="production",
        identifier_type=2,
        initiator="the clerk",
        suspended_at=None,
        suspended_because=None,
    )
    said = only(shortcodes.place(Patient(), entry), "error")
    assert said.startswith("invalid shortcode: ")
    add = f"shortcodes add {number} --app NAME_OF_A_SANDBOX_APP --initiator 'the clerk' --identifier-type 2"
    assert f"`mpesa-balance {add} --replace`" in said
    only(shortcodes.place(Patient(), replace(entry, shortcode="500111")), "ok")
    only(shortcodes.place(Patient(), replace(entry, environment="sandbox")), "ok")


def test_a_suspended_shortcode_says_why_and_how_to_go_on(patient: Patient, house: House) -> None:
    say(shortcodes.suspension, patient, "ok")
    with house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "2001: the initiator information is invalid")
    with Patient() as now:
        said = say(shortcodes.suspension, now, "warning")
    assert "2001: the initiator information is invalid" in said
    assert "`mpesa-balance shortcodes resume 600000`" in said


@pytest.mark.parametrize("kind", ["password", "security_credential"])
def test_a_password_is_a_warning_from_day_76_and_an_error_from_day_90(
    patient: Patient, house: House, kind: str
) -> None:
    for days, verdict in ((0, "ok"), (75, "ok"), (76, "warning"), (89, "warning"), (90, "error")):
        set_at = datetime.now(UTC) - timedelta(days=days, minutes=1)
        change(house, credential_set_at=set_at, credential_kind=kind)
        said = say(shortcodes.password_age, patient, verdict)
        assert f"{days} days ago" in said
    assert "shortcodes add 600000 --app app --initiator testapi --identifier-type 4 --replace" in said
    assert ("--security-credential-file" in said) == (kind == "security_credential")


def test_a_plain_password_has_nothing_that_daraja_says_to_avoid(patient: Patient) -> None:
    say(shortcodes.password_signs, patient, "ok")


def test_signs_that_daraja_says_to_avoid_are_found_and_the_password_is_not_told(
    patient: Patient, house: House
) -> None:
    told = set()
    for password in ("hunter@2", "hunter.2"):
        set_credential(house, credential=password)
        told.add(say(shortcodes.password_signs, patient, "warning"))
    # Not even which of the signs it is.
    (said,) = told
    assert "hunter" not in said


def test_the_password_in_a_ready_made_credential_is_not_known(patient: Patient, house: House) -> None:
    change(house, credential_kind=SECURITY_CREDENTIAL)
    assert "ready-made" in say(shortcodes.password_signs, patient, "ok")


def test_the_last_callback_is_told_with_its_sender(patient: Patient, house: House) -> None:
    assert "no callback" in say(queries.last_callback, patient, "ok")
    answered(house, success())
    said = say(queries.last_callback, patient, "ok")
    assert "a result" in said
    assert "from 127.0.0.1: applied" in said


def test_a_last_callback_that_could_not_be_used_leads_to_its_query(patient: Patient, house: House) -> None:
    query_id = answered(house, b"<html>")
    said = say(queries.last_callback, patient, "warning")
    assert "unreadable" in said
    assert f"`mpesa-balance status {query_id}`" in said


def test_the_queries_of_a_day_are_counted_by_their_states(patient: Patient, house: House) -> None:
    assert "none" in say(queries.last_day, patient, "ok")
    answered(house, success())
    answered(house, failure())
    open_query(house.database)
    yesterday = open_query(house.database)
    past = "UPDATE balance_queries SET created_at = now() - interval '25 h' WHERE id = %s RETURNING id"
    rows(house, past, yesterday)
    assert "1 completed, 1 failed, 1 pending" in say(queries.last_day, patient, "ok")


def test_a_query_that_was_just_acknowledged_is_not_missing_its_callback(
    patient: Patient, house: House
) -> None:
    submit(house, open_query(house.database))
    assert "1 acknowledged" in say(queries.last_day, patient, "ok")


def acknowledged_long_ago(house: House) -> None:
    submit(house, open_query(house.database))
    rows(house, "UPDATE balance_queries SET created_at = created_at - interval '6 min' RETURNING id")


def timed_out(house: House) -> None:
    query_id = open_query(house.database)
    submit(house, query_id)
    with house.database.transaction() as connection:
        query_verbs.time_out(connection, query_id, Ending(cause="deadline"))


@pytest.mark.parametrize("left_alone", [acknowledged_long_ago, timed_out])
def test_queries_that_are_never_called_back_are_a_callback_not_received(
    patient: Patient, house: House, left_alone: Callable[[House], None]
) -> None:
    left_alone(house)
    (_, trouble) = queries.last_day(patient, patient.shortcodes[SHORTCODE])
    assert trouble.verdict == "error"
    assert trouble.finding.startswith("callback not received: 1 queries")
    for cause in ("CALLBACK_BASE_URL must be public", "firewall", "TLS chain", "proxy must pass POST"):
        assert cause in trouble.remedy


def test_while_others_are_called_back_a_lost_callback_is_a_warning(patient: Patient, house: House) -> None:
    timed_out(house)
    answered(house, success())
    opinions = queries.last_day(patient, patient.shortcodes[SHORTCODE])
    assert verdicts(opinions) == ["ok", "warning"]


def test_a_query_that_daraja_never_took_is_not_missing_its_callback(patient: Patient, house: House) -> None:
    query_id = open_query(house.database)
    with house.database.transaction() as connection:
        query_verbs.time_out(connection, query_id, Ending(cause="deadline"))
    assert "1 timed_out" in say(queries.last_day, patient, "ok")


def test_a_queue_timeout_is_a_callback_that_was_received(patient: Patient, house: House) -> None:
    record(house, begin(house, open_query(house.database)), b"{}", TIMEOUT)
    assert "1 timed_out" in say(queries.last_day, patient, "ok")


def test_without_a_failure_all_is_well(patient: Patient) -> None:
    assert "no query has failed" in say(queries.last_failure, patient, "ok")


def test_a_refused_initiator_is_an_invalid_initiator_with_darajas_causes(
    patient: Patient, house: House
) -> None:
    for code in ("18", "20", "21", "22", "2001", "8006"):
        answered(house, failure(code))
        said = say(queries.last_failure, patient, "error")
        assert said.startswith("invalid initiator: a query failed ")
        assert f"with {code}: no" in said
    for cause in ("name and password", "access channel is API", "'Balance Query ORG API'", "active"):
        assert cause in said
    assert "`mpesa-balance shortcodes resume 600000`" in said


def test_an_initiator_that_is_refused_at_once_is_an_invalid_initiator_too(
    patient: Patient, house: House, daraja: FakeDaraja
) -> None:
    for name in (
        "500.001.1001-wrong-credentials",
        "400.002.02-bad-request-invalid-initiator",
        "400.002.02-bad-request-invalid-initiatorname",
    ):
        seen = samples.document(f"http/{name}.json")
        refused(house, daraja, Reply(seen["http_status"], seen["body"].encode()))
        said = say(queries.last_failure, patient, "error")
        assert said.startswith("invalid initiator: ")
        assert json.loads(seen["body"])["errorMessage"] in said


def test_a_refused_party_is_an_invalid_shortcode(
    patient: Patient, house: House, daraja: FakeDaraja
) -> None:
    for words in ("Bad Request - Invalid PartyA", "Bad Request - Invalid ShortCode"):
        refused(house, daraja, json_reply({"errorCode": "400.002.02", "errorMessage": words}, 400))
        said = say(queries.last_failure, patient, "error")
        assert said.startswith("invalid shortcode: ")
        assert words in said


def test_another_failure_is_a_warning_with_what_to_do(patient: Patient, house: House) -> None:
    answered(house, failure("17"))
    assert "with 17: no" in say(queries.last_failure, patient, "warning")


def test_a_failure_that_nobody_knows_leads_to_its_query(patient: Patient, house: House) -> None:
    query_id = answered(house, failure("4711"))
    assert f"`mpesa-balance status {query_id}`" in say(queries.last_failure, patient, "warning")


def test_a_failure_is_past_once_a_later_query_was_completed(patient: Patient, house: House) -> None:
    answered(house, failure("2001"))
    answered(house, success())
    said = say(queries.last_failure, patient, "ok")
    assert "a later one was completed" in said
    assert "invalid initiator" not in said
    answered(house, failure("2001"))
    assert "invalid initiator" in say(queries.last_failure, patient, "error")


def test_a_newest_balance_is_told_without_its_amounts(patient: Patient, house: House) -> None:
    assert "no balance yet" in say(queries.newest_balance, patient, "ok")
    answered(house, success())
    assert "700000" not in say(queries.newest_balance, patient, "ok")


def test_a_balance_of_nothing_but_zeros_is_a_balance_that_shows_zero(
    patient: Patient, house: House
) -> None:
    answered(house, success(ZEROS))
    said = say(queries.newest_balance, patient, "warning")
    assert said.startswith("balance shows zero: ")
    for cause in ("right shortcode", "right identifier type", "activated the account", "role"):
        assert cause in said


def test_one_account_with_something_in_it_is_enough(patient: Patient, house: House) -> None:
    answered(house, success(ZEROS.replace("|0.00", "|-1.00", 1)))
    say(queries.newest_balance, patient, "ok")


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("Balance KES 1,234.50 is too low", "Balance KES [amount] is too low"),
        ("400.002.02 Bad Request", "400.002.02 Bad Request"),
        (None, "no reason given"),
        ("x" * 500, "x" * 200 + " ..."),
    ],
)
def test_somebody_elses_words_are_repeated_short_and_without_amounts(
    text: str | None, repeated: str
) -> None:
    assert troubles.quoted(text) == repeated


def test_callbacks_that_wait_for_a_person_are_counted(patient: Patient, house: House) -> None:
    assert "no callback waits" in only(queries.inbox(patient), "ok")
    attempt_id = begin(house, open_query(house.database))
    for payload in (b"<html>", b"", success(), success(ZEROS)):
        record(house, attempt_id, payload)
    assert "1 conflict, 2 unreadable" in only(queries.inbox(patient), "warning")
