"""The breaker: a refusal of the initiator stops its shortcode at once, until a person resumes it."""

import base64
from uuid import UUID, uuid4

import pytest

from mpesa_balance import breaker, shortcodes
from tests import samples
from tests.conftest import SHORTCODE, open_query
from tests.fakes import FakeDaraja, Reply, json_reply
from tests.integration.answers import begin, failure, record, row, rows, state, success
from worker.house import House
from worker.intake import open_request
from worker.submission import submit


def because(house: House) -> str | None:
    found = row(house, "SELECT suspended_because FROM shortcodes")["suspended_because"]
    return None if found is None else str(found)


def notices(house: House) -> list[dict[str, object]]:
    return rows(
        house, "SELECT shortcode, query_id, message FROM outbox WHERE topic = 'shortcode_suspended'"
    )


@pytest.mark.parametrize("code", ["18", "20", "21", "22", "2001", "8006"])
def test_a_result_that_refuses_the_initiator_suspends_the_shortcode_with_the_advice(
    house: House, query_id: UUID, code: str
) -> None:
    record(house, begin(house, query_id), failure(code))
    assert f"M-PESA said {code}" in (because(house) or "")
    (notice,) = notices(house)
    assert (notice["shortcode"], notice["query_id"]) == (SHORTCODE, query_id)
    assert "resume" in str(notice["message"])


@pytest.mark.parametrize("code", ["1", "17", "25", "SFC_IC0003", "999"])
def test_no_other_result_does(house: House, query_id: UUID, code: str) -> None:
    record(house, begin(house, query_id), failure(code))
    assert because(house) is None


@pytest.mark.parametrize(
    "sample",
    [
        "http/500.001.1001-wrong-credentials.json",
        "http/400.002.02-bad-request-invalid-initiator.json",
        "http/400.002.02-bad-request-invalid-securitycredential.json",
    ],
)
def test_daraja_that_refuses_the_initiator_at_once_suspends_the_shortcode_too(
    house: House, query_id: UUID, daraja: FakeDaraja, sample: str
) -> None:
    document = samples.document(sample)
    daraja.replies.append(Reply(document["http_status"], document["body"].encode()))
    submit(house, query_id)
    assert "Daraja said" in (because(house) or "")


def test_a_refused_consumer_key_is_told_of_and_suspends_nothing(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    """No initiator is at risk, and every shortcode of the app would have to be resumed by hand."""
    daraja.token_replies.append(Reply(400))
    submit(house, query_id)
    assert because(house) is None
    topics = [found["topic"] for found in rows(house, "SELECT topic FROM outbox ORDER BY topic")]
    assert topics == ["app_refused", "query_failed"]


def test_nothing_more_is_sent_or_opened_until_a_person_resumes(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    waiting = open_query(house.database)
    record(house, begin(house, query_id), failure("2001"))
    rows(house, "UPDATE balance_queries SET next_attempt_at = now() RETURNING id")
    submit(house, waiting)
    refused = uuid4()
    open_request(house, str(refused), {"shortcode": SHORTCODE, "force": True})
    assert daraja.queries == []
    refusal = row(house, "SELECT refusal FROM balance_requests WHERE id = %s", refused)["refusal"]
    assert f"shortcodes resume {SHORTCODE}" in refusal
    with house.database.transaction() as connection:
        breaker.resume(connection, SHORTCODE)
    submit(house, waiting)
    assert len(daraja.queries) == 1


def test_an_old_refusal_does_not_stop_what_was_mended_since(house: House, query_id: UUID) -> None:
    """The answer to an attempt with the old password may come after the new one was set."""
    attempt_id = begin(house, query_id)
    with house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "by hand")
        breaker.resume(connection, SHORTCODE)
    record(house, attempt_id, failure("2001"))
    assert because(house) is None


def test_a_refusal_of_a_credential_that_was_replaced_since_does_not_either(
    house: House, query_id: UUID
) -> None:
    attempt_id = begin(house, query_id)
    with house.database.transaction() as connection:
        entry = shortcodes.named(connection, house.database.sealer, SHORTCODE)
        shortcodes.add(connection, house.database.sealer, entry, replace=True)
    record(house, attempt_id, failure("2001"))
    assert because(house) is None


def test_a_shortcode_that_is_suspended_keeps_its_first_reason(house: House, query_id: UUID) -> None:
    second = open_query(house.database)
    first_attempt, second_attempt = begin(house, query_id), begin(house, second)
    record(house, first_attempt, failure("2001"))
    record(house, second_attempt, failure("8006"))
    assert "2001" in (because(house) or "")
    assert len(notices(house)) == 1


def test_a_refusal_that_changes_nothing_suspends_nothing(house: House, query_id: UUID) -> None:
    attempt_id = begin(house, query_id)
    record(house, attempt_id, success())
    record(house, attempt_id, failure("2001"))
    assert because(house) is None


def test_a_rejected_acknowledgement_is_read_by_its_text(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    rejected = samples.document("ack/docs-rejected-400002-invalid-credential.json")
    daraja.replies.append(json_reply(rejected))
    submit(house, query_id)
    assert state(house) == "failed"
    assert "Invalid SecurityCredential" in (because(house) or "")


def test_a_refusal_suspends_also_where_the_query_had_failed_otherwise_before(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    """The second attempt failed the query for its own reason, and the first one's 2001 came later."""
    first = begin(house, query_id)
    rows(house, "UPDATE balance_queries SET next_attempt_at = now() RETURNING id")
    daraja.replies.append(json_reply({"errorCode": "400.002.05", "errorMessage": "Invalid"}, 400))
    submit(house, query_id)
    record(house, first, failure("2001"))
    assert "2001" in (because(house) or "")


def test_what_daraja_says_is_kept_without_the_credential_that_it_repeats(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    credential = base64.b64encode(b"x" * 256).decode()
    said = f'Invalid SecurityCredential "SecurityCredential":"{credential}"'
    daraja.replies.append(json_reply({"errorMessage": said}, 400))
    submit(house, query_id)
    assert "Daraja said no code, Invalid SecurityCredential" in (because(house) or "")
    for table in ("shortcodes", "submission_attempts", "balance_queries", "outbox"):
        assert credential[:40] not in str(rows(house, f"SELECT t::text FROM {table} t"))


def test_what_is_stored_is_the_reason_and_what_is_told_has_the_advice_too(
    house: House, query_id: UUID
) -> None:
    record(house, begin(house, query_id), failure("2001"))
    assert because(house) == "M-PESA said 2001, no"
    (failed,) = rows(house, "SELECT message FROM outbox WHERE topic = 'query_failed'")
    for message in (str(notices(house)[0]["message"]), failed["message"]):
        assert message.endswith("then `mpesa-balance shortcodes resume`.")


def test_suspending_twice_keeps_the_first_instant(house: House) -> None:
    with house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "first")
    first = row(house, "SELECT suspended_at FROM shortcodes")
    with house.database.transaction() as connection:
        breaker.suspend(connection, SHORTCODE, "second")
    assert row(house, "SELECT suspended_at FROM shortcodes") == first
