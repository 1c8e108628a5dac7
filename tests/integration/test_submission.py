"""Putting a query to Daraja: what is sent, and what becomes of each class of answer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import rsa
from psycopg import sql

from mpesa_balance import apps, attempts, breaker, queries, shortcodes
from mpesa_balance.errors import DarajaUnavailable, Unavailable
from mpesa_balance.line import SPACING
from mpesa_balance.queries import Ending
from ops.simulator.keys import KeyPair
from tests import samples
from tests.conftest import Postgres, entry_of, open_query
from tests.fakes import FakeDaraja, Reply, json_reply
from tests.integration.answers import begin, first_in_line, record, row, rows, state, success
from worker import recording
from worker.house import House
from worker.recording import Answered
from worker.submission import submit

INVALID_TOKEN = json_reply({"errorCode": "404.001.03", "errorMessage": "Invalid Access Token"}, 404)
SPIKE_ARREST = json_reply({"errorCode": "500.003.02", "errorMessage": "Spike Arrest Violation"}, 500)
REFUSED = json_reply({"errorCode": "400.002.02", "errorMessage": "Bad Request - Invalid Remarks"}, 400)


def attempt_states(house: House) -> list[str]:
    return [
        found["state"] for found in rows(house, "SELECT state FROM submission_attempts ORDER BY number")
    ]


def seconds_to_next(house: House) -> float:
    statement = "SELECT extract(epoch FROM next_attempt_at - now())::float AS left FROM balance_queries"
    return float(row(house, statement)["left"])


def backoff(house: House) -> float:
    """How long the query waits after the newest answer, in seconds."""
    statement = """
        SELECT extract(epoch FROM min(q.next_attempt_at) - max(a.answered_at))::float AS waits
        FROM balance_queries q JOIN submission_attempts a ON a.query_id = q.id
    """
    return float(row(house, statement)["waits"])


def due_now(house: House) -> None:
    rows(house, "UPDATE balance_queries SET next_attempt_at = now() RETURNING id")


def test_an_accepted_query_is_acknowledged_with_its_ids(house: House, query_id: UUID) -> None:
    submit(house, query_id)
    assert state(house) == "acknowledged"
    assert row(house, "SELECT state, originator_conversation_id, code FROM submission_attempts") == {
        "state": "acknowledged",
        "originator_conversation_id": "1000-1-1",
        "code": "0",
    }


def test_exactly_the_eight_documented_fields_are_sent(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    submit(house, query_id)
    (sent,) = daraja.queries
    assert sent.keys() == samples.document("request/docs-account-balance.json").keys()
    assert {
        key: sent[key] for key in ("Initiator", "CommandID", "PartyA", "IdentifierType", "Remarks")
    } == {
        "Initiator": "testapi",
        "CommandID": "AccountBalance",
        "PartyA": "600000",
        "IdentifierType": "4",
        "Remarks": "Account balance query",
    }


def test_the_callback_address_names_the_attempt(house: House, query_id: UUID, daraja: FakeDaraja) -> None:
    submit(house, query_id)
    token = daraja.queries[0]["ResultURL"].split("/")[-2]
    attempt_id = row(house, "SELECT id FROM submission_attempts")["id"]
    assert house.settings.callbacks.signer.attempt_id(token) == attempt_id


def test_the_attempt_is_on_record_before_anything_is_sent(
    house: House, query_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process leaves that is killed between the record and the answer."""

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(type(house.daraja), "ask", die)
    with pytest.raises(Killed):
        submit(house, query_id)
    assert attempt_states(house) == ["sending"]
    most = house.settings.submission_grace + house.settings.daraja_timeout
    assert house.settings.submission_grace < seconds_to_next(house) <= most


def test_after_a_crash_a_new_attempt_waits_for_the_grace_and_has_its_own_address(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.replies.append(Reply(200, b'{"Conv'))
    submit(house, query_id)
    submit(house, query_id)
    assert len(daraja.queries) == 1
    due_now(house)
    submit(house, query_id)
    assert attempt_states(house) == ["unknown", "acknowledged"]
    assert daraja.queries[0]["ResultURL"] != daraja.queries[1]["ResultURL"]


def test_an_empty_acknowledgement_leaves_the_query_pending(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.replies.append(json_reply(samples.document("ack/real-2026-07-18-all-empty.json")))
    submit(house, query_id)
    assert (state(house), attempt_states(house)) == ("pending", ["unknown"])


def test_three_attempts_that_nobody_answered_are_the_last(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.replies.extend([Reply(200, b'{"Conv')] * 4)
    for _ in range(4):
        submit(house, query_id)
        due_now(house)
    assert len(daraja.queries) == 3
    assert state(house) == "pending"


def test_attempts_that_were_taken_count_though_no_result_has_ended_the_query(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    """Each acknowledgement was lost, and each callback said no more than that more will follow."""
    daraja.replies.extend([Reply(200, b'{"Conv')] * 4)
    for _ in range(4):
        submit(house, query_id)
        for attempt in rows(house, "SELECT id FROM submission_attempts"):
            record(house, attempt["id"], success(ResultType=1))
        due_now(house)
    assert len(daraja.queries) == 3
    assert attempt_states(house) == ["acknowledged"] * 3


def test_a_password_that_is_too_long_for_the_apps_key_fails_the_query_and_says_so(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
        short = KeyPair(rsa.generate_private_key(public_exponent=65537, key_size=1024)).certificate()
        apps.add(connection, house.database.sealer, replace(app, certificate=short), replace=True)
        entry = entry_of(password="p" * 200)
        shortcodes.add(connection, house.database.sealer, entry, replace=True)
    submit(house, query_id)
    assert (state(house), attempt_states(house), daraja.queries) == ("failed", ["refused"], [])
    assert "too long" in row(house, "SELECT result_description FROM balance_queries")["result_description"]


def test_a_result_that_outran_the_acknowledgement_keeps_its_state_and_gets_its_ids(
    house: House, query_id: UUID, daraja: FakeDaraja, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = type(house.daraja).ask

    def result_first(*arguments: object) -> object:
        with house.database.transaction() as connection:
            queries.complete(connection, query_id, Ending(cause="result"))
        return ask(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(house.daraja), "ask", result_first)
    submit(house, query_id)
    assert state(house) == "completed"
    assert row(house, "SELECT conversation_id FROM submission_attempts")["conversation_id"]


def test_an_invalid_token_is_minted_once_and_the_query_sent_once_more(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.replies.append(INVALID_TOKEN)
    submit(house, query_id)
    assert daraja.tokens_used == ["token-1", "token-2"]
    assert (state(house), attempt_states(house)) == ("acknowledged", ["acknowledged"])


def test_fifty_that_meet_a_revoked_token_mint_one_between_them(house: House, daraja: FakeDaraja) -> None:
    asked = [open_query(house.database) for _ in range(50)]
    with house.database.transaction() as connection:
        app = apps.named(connection, house.database.sealer, "app")
    daraja.revoked.add(house.tokens.current(app))
    with ThreadPoolExecutor(max_workers=6) as workers:
        list(workers.map(partial(submit, house), asked))
        # A slow machine finds a slot too far off now and then, and is rung for once more.
        while left := rows(house, "SELECT id FROM balance_queries WHERE state = 'pending'"):
            list(workers.map(partial(submit, house), [one["id"] for one in left]))
    assert daraja.minted == 2
    assert attempt_states(house) == ["acknowledged"] * 50


def test_a_token_that_is_refused_again_waits(house: House, query_id: UUID, daraja: FakeDaraja) -> None:
    daraja.replies.extend([INVALID_TOKEN, INVALID_TOKEN])
    submit(house, query_id)
    assert len(daraja.queries) == 2
    assert (state(house), attempt_states(house)) == ("pending", ["not_taken"])


def test_what_daraja_did_not_take_waits_as_the_schedule_says_and_then_fails(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.replies.extend([SPIKE_ARREST] * 4)
    waits = []
    for _ in range(4):
        submit(house, query_id)
        waits.append(backoff(house))
        due_now(house)
    for wait, scheduled in zip(waits, house.settings.retries.backoff, strict=False):
        assert 0.75 * scheduled <= wait <= min(1.25 * scheduled, 60)
    assert (state(house), attempt_states(house)) == ("failed", ["not_taken"] * 4)
    assert row(house, "SELECT result_code FROM balance_queries") == {"result_code": "500.003.02"}


def test_what_was_not_taken_at_last_takes_nothing_from_an_attempt_that_may_have_been(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.replies.append(Reply(200, b'{"Conv'))
    submit(house, query_id)
    first = row(house, "SELECT id FROM submission_attempts")["id"]
    daraja.replies.extend([SPIKE_ARREST] * 3)
    for _ in range(3):
        due_now(house)
        submit(house, query_id)
    assert (state(house), attempt_states(house)) == ("pending", ["unknown", *["not_taken"] * 3])
    # Nothing more is sent, and until the deadline its result is awaited.
    assert row(house, "SELECT next_attempt_at = deadline_at AS is_all FROM balance_queries")["is_all"]
    record(house, first, success())
    assert state(house) == "completed"


def test_what_was_not_taken_moves_no_query_that_has_timed_out_meanwhile(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    first = begin(house, query_id)
    due_now(house)
    second = first_in_line(house, query_id)
    assert second is not None
    with house.database.transaction() as connection:
        queries.time_out(connection, query_id, Ending(cause="deadline"))
    recording.record(house, [Answered(second, DarajaUnavailable("no connection"))])
    assert (state(house), attempt_states(house)) == ("timed_out", ["unknown", "not_taken"])
    record(house, first, success())
    assert row(house, "SELECT state, late FROM balance_queries") == {"state": "completed", "late": True}


def test_a_refusal_fails_the_query_at_once_with_darajas_own_words(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.replies.append(REFUSED)
    submit(house, query_id)
    assert row(house, "SELECT state, result_code, result_description FROM balance_queries") == {
        "state": "failed",
        "result_code": "400.002.02",
        "result_description": "Bad Request - Invalid Remarks",
    }


def test_wrong_consumer_keys_fail_the_query_and_send_nothing(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.token_replies.append(Reply(400))
    submit(house, query_id)
    assert state(house) == "failed"
    assert daraja.queries == []


def test_nothing_is_sent_for_a_suspended_shortcode(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    with house.database.transaction() as connection:
        breaker.suspend(connection, "600000", "test")
    submit(house, query_id)
    assert daraja.queries == []


def test_nothing_is_sent_for_a_query_that_has_ended_is_overdue_or_never_was(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    with house.database.transaction() as connection:
        queries.complete(connection, query_id, Ending(cause="result"))
    overdue = open_query(house.database)
    late = "UPDATE balance_queries SET deadline_at = now() - interval '1 s' WHERE id = %s RETURNING id"
    rows(house, late, overdue)
    for named in (uuid4(), overdue, query_id):
        submit(house, named)
    assert daraja.queries == []


def test_attempts_of_which_nothing_was_heard_count_and_are_unknown_once_the_next_begins(
    house: House, query_id: UUID
) -> None:
    """Each process died after it had begun: three are the last, the one that is out included."""
    for _ in range(3):
        begin(house, query_id)
    assert attempt_states(house) == ["unknown", "unknown", "sending"]
    due_now(house)
    assert first_in_line(house, query_id) is None


def test_a_used_up_quota_waits_for_the_longest_time_at_once(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    daraja.replies.append(json_reply({"errorCode": "500.003.03", "errorMessage": "Quota Violation"}, 500))
    submit(house, query_id)
    assert 300 <= backoff(house) <= 375


def test_no_secret_stands_in_any_table_in_the_clear(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    submit(house, query_id)
    for table in ("daraja_apps", "shortcodes", "submission_attempts", "balance_queries"):
        dump = str(rows(house, f"SELECT t::text, encode(t::text::bytea, 'escape') FROM {table} t"))
        for secret in ("Pa55word", "token-1", daraja.queries[0]["SecurityCredential"]):
            assert secret not in dump
            assert secret.encode().hex() not in dump


def test_a_house_with_other_keys_says_which_key_is_missing_and_sends_nothing(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    """A fault of ours: the query stays pending, to be submitted once the key is back."""
    from mpesa_balance.errors import SealBroken
    from mpesa_balance.sealing import new_key, parse_sealer

    house.database.sealer = parse_sealer(f"other:{new_key()}")
    with pytest.raises(SealBroken, match="add that key to SEALING_KEYS"):
        submit(house, query_id)
    assert (state(house), attempt_states(house), daraja.queries) == ("pending", [], [])


def test_a_fault_of_ours_before_anything_was_sent_counts_for_nothing(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    away = redis.Redis.from_url("redis://127.0.0.1:1", socket_timeout=1)
    submit(replace(house, tokens=replace(house.tokens, store=away)), query_id)
    assert (state(house), attempt_states(house), daraja.queries) == ("pending", [], [])
    assert 0 < seconds_to_next(house) <= 5
    due_now(house)
    submit(house, query_id)
    assert row(house, "SELECT number, state FROM submission_attempts") == {
        "number": 1,
        "state": "acknowledged",
    }


def test_a_callback_that_came_first_is_not_taken_back_by_an_answer_that_was_lost(
    house: House, query_id: UUID, daraja: FakeDaraja, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = type(house.daraja).ask

    def result_first(*arguments: object) -> object:
        attempt_id = row(house, "SELECT id FROM submission_attempts")["id"]
        record(house, attempt_id, success())
        return ask(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(house.daraja), "ask", result_first)
    daraja.replies.append(Reply(200, b'{"Conv'))
    submit(house, query_id)
    assert (state(house), attempt_states(house)) == ("completed", ["acknowledged"])


def test_what_daraja_said_survives_a_postgres_that_is_away_for_a_moment(
    house: House, query_id: UUID, database_url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = sql.Identifier(database_url.split("/")[3].split("?")[0])
    ask = type(house.daraja).ask

    def away_meanwhile(*arguments: object) -> object:
        answered = ask(*arguments)  # type: ignore[arg-type]
        postgres.run(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        postgres.run(
            sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(
                sql.Literal(name._obj[0])
            )
        )
        back = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name)
        threading.Timer(1.0, postgres.run, (back,)).start()
        return answered

    monkeypatch.setattr(type(house.daraja), "ask", away_meanwhile)
    # Where a look at the line falls into that moment the task is tried again for it, and this one is over.
    with suppress(Unavailable):
        submit(house, query_id)
    assert state(house) == "acknowledged"


def test_a_submission_that_is_sent_again_with_a_fresh_token_takes_another_slot(
    house: House, query_id: UUID, daraja: FakeDaraja
) -> None:
    rows(house, "UPDATE daraja_apps SET requests_per_second = 10 RETURNING name")
    daraja.replies.append(INVALID_TOKEN)
    submit(house, query_id)
    # Two slots from the first request on; a slow machine may have taken a later second one.
    taken = (
        "SELECT extract(epoch FROM next_slot_at - sent_at)::float AS s "
        "FROM daraja_apps, submission_attempts"
    )
    assert row(house, taken)["s"] > 1.9 * SPACING / 10


def test_a_callback_that_proved_an_attempt_keeps_it_from_being_withdrawn(
    house: House, query_id: UUID
) -> None:
    attempt_id = begin(house, query_id)
    record(house, attempt_id, success(ResultType=1))
    with house.database.transaction() as connection:
        attempts.withdraw(connection, attempt_id, 5)
    assert attempt_states(house) == ["acknowledged"]
    assert row(house, "SELECT attempts FROM balance_queries") == {"attempts": 1}
