"""Replay: after a fix what can be applied is, once, and who did it is on record."""

import json
from uuid import UUID, uuid4

import pytest

from mpesa_balance import history, inbox, received, replays
from mpesa_balance.callback_urls import TIMEOUT
from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.inbox import Disposition
from mpesa_balance.sealing import new_key, parse_sealer
from tests.conftest import open_query
from tests.integration.answers import (
    OTHER_BALANCE,
    delivery,
    failure,
    record,
    row,
    rows,
    state,
    success,
)
from worker import callbacks
from worker.house import House


def replay(house: House, callback_id: int, by: str = "jane") -> tuple[Disposition, str | None]:
    with house.database.transaction() as connection:
        verdict = replays.replay(connection, house.database.sealer, callback_id, by)
    return verdict.disposition, verdict.reason


def only_callback(house: House) -> int:
    return int(row(house, "SELECT id FROM callbacks")["id"])


def record_with_a_key_that_is_gone(house: House, attempt_id: UUID, payload: bytes) -> None:
    message = delivery(house, attempt_id, payload)
    kept, house.database.sealer = house.database.sealer, parse_sealer(f"other:{new_key()}")
    callbacks.record(house, [message])
    house.database.sealer = kept


def test_what_could_not_be_read_is_applied_once_what_kept_it_is_mended(
    house: House, query_id: UUID, attempt_id: UUID
) -> None:
    record_with_a_key_that_is_gone(house, attempt_id, success())
    assert replay(house, only_callback(house)) == (Disposition.APPLIED, None)
    with house.database.transaction() as connection:
        standing = history.of_query(connection, house.database.sealer, query_id)
        events = history.timeline(connection, query_id)
    assert (standing.state, len(standing.accounts)) == ("completed", 1)
    assert "by result, replayed by jane" in [event.detail for event in events]
    assert row(house, "SELECT disposition, reason FROM callbacks") == {
        "disposition": "applied",
        "reason": None,
    }


def test_a_second_replay_changes_nothing(house: House, attempt_id: UUID) -> None:
    record_with_a_key_that_is_gone(house, attempt_id, success())
    for _ in range(3):
        replay(house, only_callback(house))
    assert len(rows(house, "SELECT FROM query_events WHERE state = 'completed'")) == 1
    assert len(rows(house, "SELECT FROM balances")) == 1
    assert row(house, "SELECT disposition FROM callbacks") == {"disposition": "applied"}


def test_a_queue_timeout_that_was_applied_stays_applied(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, b"{}", TIMEOUT)
    assert replay(house, only_callback(house)) == (Disposition.APPLIED, "it was applied before")
    assert row(house, "SELECT disposition FROM callbacks") == {"disposition": "applied"}


def test_a_result_whose_query_has_timed_out_meanwhile_completes_it_late(
    house: House, query_id: UUID, attempt_id: UUID
) -> None:
    record_with_a_key_that_is_gone(house, attempt_id, success())
    record(house, attempt_id, b"{}", TIMEOUT)
    replay(house, int(row(house, "SELECT id FROM callbacks WHERE kind = 'result'")["id"]))
    assert row(house, "SELECT state, late FROM balance_queries") == {"state": "completed", "late": True}


def test_what_matched_nothing_is_applied_once_its_attempt_is_back(house: House) -> None:
    """A backup was restored, and what it lacked was put back later."""
    lost = uuid4()
    record(house, lost, success())
    assert replay(house, only_callback(house))[0] is Disposition.UNMATCHED
    query_id = open_query(house.database)
    rows(
        house,
        "INSERT INTO submission_attempts (id, query_id, number) VALUES (%s, %s, 1) RETURNING id",
        lost,
        query_id,
    )
    assert replay(house, only_callback(house))[0] is Disposition.APPLIED
    assert state(house) == "completed"


def test_a_conflict_stays_one_and_nobody_is_told_twice(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success())
    record(house, attempt_id, success(OTHER_BALANCE))
    conflict = row(house, "SELECT id FROM callbacks WHERE disposition = 'conflict'")["id"]
    assert replay(house, conflict)[0] is Disposition.CONFLICT
    assert len(rows(house, "SELECT FROM outbox")) == 1


def test_a_replay_asks_nothing_of_daraja(house: House, attempt_id: UUID) -> None:
    """A failure that would be tried again when it comes is history when it is replayed."""
    record_with_a_key_that_is_gone(house, attempt_id, failure("17"))
    replay(house, only_callback(house))
    assert state(house) == "failed"


def test_who_replayed_and_what_became_of_it_is_on_record(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, b"<html>")
    for by in ("jane", "otieno"):
        replay(house, only_callback(house), by)
    with house.database.transaction() as connection:
        found = received.replays(connection, only_callback(house))
    assert [(one.replayed_by, one.disposition_before, one.disposition) for one in found] == [
        ("jane", "unreadable", "unreadable"),
        ("otieno", "unreadable", "unreadable"),
    ]


@pytest.mark.parametrize("by", ["", "  ", "a\nb", "x" * 201])
def test_nobody_replays_without_a_name(house: House, attempt_id: UUID, by: str) -> None:
    record(house, attempt_id, b"<html>")
    with pytest.raises(RequestRefused, match="--by"):
        replay(house, only_callback(house), by)


def test_a_number_that_no_callback_has_is_not_found(house: House) -> None:
    with pytest.raises(NotFound, match="callbacks list"):
        replay(house, 4711)


def test_the_inbox_lists_what_waits_and_what_is_asked_for(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success())
    record(house, attempt_id, success())
    record(house, attempt_id, success(OTHER_BALANCE))
    record(house, attempt_id, b"<html>")
    record(house, uuid4(), success())
    callbacks.record(house, [delivery(house, attempt_id, b"{}", TIMEOUT) | {"flagged": True}])

    def ids(*selections: str, shortcode: str | None = None) -> list[str]:
        with house.database.transaction() as connection:
            found = received.listed(connection, selections, shortcode and [shortcode])
        return sorted(str(one.disposition) for one in found)

    assert ids(*received.INBOX) == ["conflict", "unmatched", "unreadable"]
    assert ids(received.DUPLICATE) == ["applied"]
    assert ids(received.FLAGGED) == ["noted"]
    assert len(ids()) == 5
    assert ids(*received.INBOX, shortcode="600000") == ["conflict", "unreadable"]
    assert ids(*received.INBOX, shortcode="600001") == []


def test_the_bytes_of_a_callback_can_be_had_by_who_may_see_them(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, success())
    with house.database.transaction() as connection:
        payload = received.payload(connection, house.database.sealer, only_callback(house))
        shown = received.shown(connection, only_callback(house))
    assert payload == success()
    assert "700000" not in json.dumps(shown.document())


def test_a_kept_callback_has_no_bytes_in_its_repr(house: House, attempt_id: UUID) -> None:
    record(house, attempt_id, b"<html>")
    with house.database.transaction() as connection:
        assert "payload" not in repr(inbox.find(connection, only_callback(house)))


def test_the_newest_callbacks_come_first_and_a_limit_keeps_them(house: House) -> None:
    for _ in range(3):
        record(house, uuid4(), success())
    with house.database.transaction() as connection:
        found = [one.id for one in received.listed(connection, received.INBOX, limit=2)]
        every = [one.id for one in received.listed(connection, received.INBOX)]
    assert every == sorted(every, reverse=True)
    assert found == every[:2]
