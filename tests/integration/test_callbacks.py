"""What becomes of each callback: its move, its disposition, and who is told."""

import json
from uuid import UUID, uuid4

import pytest
from psycopg.errors import UniqueViolation

from mpesa_balance import history
from mpesa_balance.callback_urls import TIMEOUT
from mpesa_balance.errors import SealBroken
from mpesa_balance.queries import Ending, fail
from mpesa_balance.sealing import new_key, parse_sealer
from tests import samples
from tests.integration.answers import (
    BALANCE,
    OTHER_BALANCE,
    begin,
    delivery,
    failure,
    record,
    row,
    rows,
    success,
)
from worker import callbacks
from worker.house import House


def state(house: House) -> tuple[str, bool]:
    found = row(house, "SELECT state, late FROM balance_queries")
    return found["state"], found["late"]


def dispositions(house: House) -> list[str]:
    return [found["disposition"] for found in rows(house, "SELECT disposition FROM callbacks ORDER BY id")]


def told(house: House) -> list[str]:
    return [found["topic"] for found in rows(house, "SELECT topic FROM outbox ORDER BY created_at")]


def test_a_result_before_its_acknowledgement_completes_the_query(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success())
    assert state(house) == ("completed", False)
    assert dispositions(house) == ["applied"]
    assert told(house) == []


def test_the_accounts_are_stored_in_the_same_transaction(
    house: House, attempt_id: UUID, query_id: UUID
) -> None:
    record(house, attempt_id, success())
    with house.database.transaction() as connection:
        standing = history.of_query(connection, house.database.sealer, query_id)
    assert [account.document() for account in standing.accounts] == [
        {
            "name": "Working Account",
            "currency": "KES",
            "current": "700000.00",
            "available": "700000.00",
            "reserved": "0.00",
            "uncleared": "0.00",
        }
    ]
    assert standing.completed_at is not None
    assert standing.completed_at.isoformat() == "2026-11-22T09:00:00+00:00"


def test_no_amount_stands_in_any_table_in_the_clear(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success("Working Account|KES|7318273.91|7318273.91|0.00|0.00"))
    for table in ("callbacks", "balances", "balance_queries", "query_events", "outbox"):
        dump = str(rows(house, f"SELECT t::text, encode(t::text::bytea, 'escape') FROM {table} t"))
        assert "7318273" not in dump
        assert b"7318273".hex() not in dump


def test_the_same_callback_again_is_counted_and_changes_nothing(house: House, attempt_id: UUID) -> None:
    for _ in range(3):
        record(house, attempt_id, success())
    assert row(house, "SELECT deliveries FROM callbacks") == {"deliveries": 3}
    assert len(rows(house, "SELECT FROM query_events")) == 2


def test_the_same_result_in_other_bytes_is_noted(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success())
    record(house, attempt_id, success() + b"\n")
    assert dispositions(house) == ["applied", "noted"]
    assert told(house) == []


def test_a_different_result_is_kept_as_a_conflict_and_somebody_is_told(
    house: House, attempt_id: UUID
) -> None:
    record(house, attempt_id, success())
    record(house, attempt_id, success(OTHER_BALANCE))
    record(house, attempt_id, failure())
    assert state(house) == ("completed", False)
    assert dispositions(house) == ["applied", "conflict", "conflict"]
    assert told(house) == ["callback_conflict", "callback_conflict"]


def test_a_result_of_an_earlier_attempt_that_agrees_is_noted(
    house: House, query_id: UUID, attempt_id: UUID
) -> None:
    second = begin(house, query_id)
    record(house, second, success())
    record(house, attempt_id, success(OTHER_BALANCE))
    assert dispositions(house) == ["applied", "noted"]


def test_a_balance_for_a_query_that_failed_is_a_conflict(
    house: House, query_id: UUID, attempt_id: UUID
) -> None:
    with house.database.transaction() as connection:
        fail(connection, query_id, Ending(cause="submission"))
    record(house, attempt_id, success())
    assert state(house) == ("failed", False)
    assert dispositions(house) == ["conflict"]


def test_a_refusal_fails_the_query_with_its_code_and_somebody_is_told(
    house: House, attempt_id: UUID
) -> None:
    record(house, attempt_id, failure("2001"))
    assert state(house) == ("failed", False)
    assert row(house, "SELECT result_code FROM balance_queries") == {"result_code": "2001"}
    assert sorted(told(house)) == ["query_failed", "shortcode_suspended"]


@pytest.mark.parametrize("name", samples.of_kind("timeout"))
def test_a_queue_timeout_of_any_shape_is_placed_by_its_address(
    house: House, attempt_id: UUID, name: str
) -> None:
    record(house, attempt_id, samples.payload(name), TIMEOUT)
    assert state(house) == ("timed_out", False)
    assert told(house) == ["query_timed_out"]


def test_a_result_after_a_queue_timeout_completes_the_query_late(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, b"{}", TIMEOUT)
    record(house, attempt_id, success())
    assert state(house) == ("completed", True)


def test_a_queue_timeout_after_the_result_changes_nothing(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success())
    record(house, attempt_id, b"{}", TIMEOUT)
    assert state(house) == ("completed", False)
    assert dispositions(house) == ["applied", "noted"]


def test_a_message_that_says_more_will_follow_moves_nothing(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, samples.payload("odd/derived-resulttype-1-waiting.json"))
    assert state(house) == ("pending", False)
    assert dispositions(house) == ["noted"]


@pytest.mark.parametrize(
    "payload",
    [success("|"), samples.payload("success/fabricated-singularity-keys.json"), b"<html>", b""],
)
def test_a_success_without_readable_balances_is_kept_and_moves_nothing(
    house: House, attempt_id: UUID, payload: bytes
) -> None:
    record(house, attempt_id, payload)
    assert state(house) == ("pending", False)
    assert dispositions(house) == ["unreadable"]
    assert told(house) == ["callback_unreadable"]


def test_a_callback_whose_attempt_is_gone_is_kept_as_unmatched(house: House) -> None:
    record(house, uuid4(), success())
    assert dispositions(house) == ["unmatched"]
    assert told(house) == ["callback_unmatched"]


def test_a_result_of_another_conversation_is_kept_and_not_applied(house: House, attempt_id: UUID) -> None:
    statement = "UPDATE submission_attempts SET conversation_id = 'AG_ours' WHERE id = %s RETURNING id"
    rows(house, statement, attempt_id)
    record(house, attempt_id, samples.payload("foreign/docs-b2b-paybill-success.json"))
    assert state(house) == ("pending", False)
    assert dispositions(house) == ["unmatched"]


def test_a_callback_sealed_with_a_key_that_is_gone_is_kept_as_unreadable(
    house: House, attempt_id: UUID
) -> None:
    message = delivery(house, attempt_id, success())
    kept = house.database.sealer
    house.database.sealer = parse_sealer(f"other:{new_key()}")
    callbacks.record(house, [message])
    house.database.sealer = kept
    found = row(house, "SELECT disposition, reason FROM callbacks")
    assert found["disposition"] == "unreadable"
    assert "SEALING_KEYS" in found["reason"]


def test_a_batch_is_recorded_whole(house: House, attempt_id: UUID) -> None:
    messages = [delivery(house, attempt_id, payload) for payload in (success(ResultType=1), success())]
    callbacks.record(house, messages)
    assert sorted(dispositions(house)) == ["applied", "noted"]


def test_the_bytes_are_kept_as_they_came(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success(BALANCE) + b"  \n")
    found = row(house, "SELECT payload, digest FROM callbacks")
    place = f"callbacks/{attempt_id}/result/{bytes(found['digest']).hex()}"
    assert house.database.sealer.open(bytes(found["payload"]), place) == success(BALANCE) + b"  \n"


def test_the_history_and_the_notice_name_the_attempt_and_the_callback(
    house: House, attempt_id: UUID, query_id: UUID
) -> None:
    record(house, attempt_id, failure())
    callback_id = row(house, "SELECT id FROM callbacks")["id"]
    told_of = {"query_id": query_id, "callback_id": callback_id}
    moved = row(house, "SELECT query_id, attempt_id, callback_id FROM query_events WHERE state = 'failed'")
    assert moved == told_of | {"attempt_id": attempt_id}
    record(house, attempt_id, success())
    conflict = row(house, "SELECT id FROM callbacks WHERE disposition = 'conflict'")["id"]
    noticed = row(house, "SELECT query_id, callback_id FROM outbox WHERE topic = 'callback_conflict'")
    assert noticed == told_of | {"callback_id": conflict}


def test_a_result_that_repeats_itself_after_a_queue_timeout_is_noted(
    house: House, attempt_id: UUID
) -> None:
    """It is compared with the result that was applied, and not with the timeout that was too."""
    record(house, attempt_id, b"{}", TIMEOUT)
    record(house, attempt_id, success())
    record(house, attempt_id, success() + b"\n")
    assert dispositions(house) == ["applied", "applied", "noted"]


def test_a_queue_timeout_that_changes_nothing_tells_nobody(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success())
    record(house, attempt_id, b"{}", TIMEOUT)
    assert told(house) == []


def test_the_sender_and_the_transaction_are_kept(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success(TransactionID="UKM0000000"))
    assert row(house, "SELECT address FROM callbacks") == {"address": "127.0.0.1"}
    assert row(house, "SELECT transaction_id FROM balance_queries") == {"transaction_id": "UKM0000000"}


def test_the_balance_string_is_kept_as_it_came_sealed_for_its_query(
    house: House, attempt_id: UUID, query_id: UUID
) -> None:
    record(house, attempt_id, success(f" {BALANCE} "))
    sealed = row(house, "SELECT document FROM balances")["document"]
    assert json.loads(house.database.sealer.open(sealed, f"balances/{query_id}"))["raw"] == f" {BALANCE} "
    with pytest.raises(SealBroken):
        house.database.sealer.open(sealed, f"balances/{uuid4()}")


def test_a_query_has_one_balance_and_an_attempt_one_number(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success())
    for table, change in (("balances", "callback_id"), ("submission_attempts", "state")):
        with pytest.raises(UniqueViolation):
            rows(house, f"INSERT INTO {table} SELECT * FROM {table} RETURNING {change}")
    with pytest.raises(UniqueViolation):
        rows(
            house,
            "INSERT INTO submission_attempts (id, query_id, number) "
            "SELECT gen_random_uuid(), query_id, number FROM submission_attempts RETURNING id",
        )


def test_a_second_queue_timeout_tells_nobody_again(house: House, attempt_id: UUID) -> None:
    for body in (b"{}", b"{ }"):
        record(house, attempt_id, body, TIMEOUT)
    assert told(house) == ["query_timed_out"]


def test_what_was_flagged_once_stays_flagged(house: House, attempt_id: UUID) -> None:
    for flagged in (True, False):
        callbacks.record(house, [delivery(house, attempt_id, success()) | {"flagged": flagged}])
    assert row(house, "SELECT flagged, deliveries FROM callbacks") == {"flagged": True, "deliveries": 2}


def test_the_ids_of_the_acknowledgement_win_over_those_of_the_result(
    house: House, attempt_id: UUID
) -> None:
    rows(house, "UPDATE submission_attempts SET conversation_id = 'AG_1' RETURNING id")
    record(house, attempt_id, success(ConversationID="AG_1", OriginatorConversationID="1-2-3"))
    record(house, attempt_id, success(ConversationID="AG_2", OriginatorConversationID="1-2-3"))
    ids = "SELECT conversation_id, originator_conversation_id AS originator FROM submission_attempts"
    assert row(house, ids) == {"conversation_id": "AG_1", "originator": "1-2-3"}


def test_no_amount_in_the_words_of_mpesa_is_stored_in_the_clear(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, failure("1").replace(b'"no"', b'"balance 1,234.56 is too low"'))
    found = row(house, "SELECT result_description FROM balance_queries")
    assert found == {"result_description": "balance [amount] is too low"}
