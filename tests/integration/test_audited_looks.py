"""Whoever is given amounts is on record before he is: at the command line, by a lookup, in a reply."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis

from mpesa_balance import audit
from mpesa_balance.contract import ANSWERS, request_id_for
from tests.conftest import SHORTCODE, Bell
from tests.integration.answers import begin, failure, record, row, rows, success
from tests.integration.commanding import command
from tests.integration.trail import told, trail
from worker import lookups
from worker.house import House
from worker.intake import open_request
from worker.replying import send_due

pytestmark = pytest.mark.usefixtures("as_alice")

AMOUNT = "700000"
CHANNEL = f"{ANSWERS}{uuid4().hex}"
PAYROLL = {"task": "payroll.balance_known", "queue": "payroll"}
ALICE = "cli:alice ("


def ask(house: House, answer: bytes | None = None, **message: Any) -> UUID:
    """A request, answered where there is an answer; "k" is its idempotency key."""
    open_request(house, str(uuid4()), {"shortcode": SHORTCODE, "idempotency_key": "k", **message})
    request_id = request_id_for(SHORTCODE, "k")
    if answer is not None:
        query = row(house, "SELECT query_id FROM balance_requests WHERE id = %s", request_id)
        record(house, begin(house, query["query_id"]), answer)
    return request_id


def looks(house: House) -> list[tuple[str, str, str]]:
    return [told(entry) for entry in trail(house) if entry.action != audit.Action.ASKED]


@contextmanager
def nothing_can_be_added(house: House) -> Iterator[None]:
    with house.database.transaction() as connection:
        connection.execute("ALTER TABLE audit ADD CONSTRAINT mistake CHECK (false) NOT VALID")
    yield
    with house.database.transaction() as connection:
        connection.execute("ALTER TABLE audit DROP CONSTRAINT mistake")


def showing(house: House) -> list[tuple[str, ...]]:
    """The commands that show the amounts of an answered request."""
    request_id = str(ask(house, success()))
    number = str(row(house, "SELECT id FROM callbacks")["id"])
    return [
        ("status", request_id),
        ("status", request_id, "--json"),
        ("balances",),
        ("balances", SHORTCODE, "--json"),
        ("query", SHORTCODE, "--idempotency-key", "k", "--wait"),
        ("callbacks", "show", number, "--payload"),
    ]


def test_whoever_sees_amounts_at_the_command_line_is_on_record(house: House) -> None:
    for seen, arguments in enumerate(showing(house), 1):
        shown = command(*arguments)
        assert AMOUNT in shown.output.replace(",", ""), arguments
        found = looks(house)
        assert len(found) == seen, arguments
        assert found[0][0].startswith(ALICE)
        assert found[0][1:] == (
            "payload_shown" if "callbacks" in arguments else "balance_shown",
            SHORTCODE,
        )


def test_what_cannot_be_recorded_is_not_shown(house: House) -> None:
    listed = showing(house)
    with nothing_can_be_added(house):
        for arguments in listed:
            shown = command(*arguments)
            assert shown.exit_code != 0
            assert AMOUNT not in shown.output.replace(",", ""), arguments


def test_what_shows_no_amount_is_no_look(house: House) -> None:
    request_id = str(ask(house, failure("2001")))
    number = str(row(house, "SELECT id FROM callbacks")["id"])
    for arguments in (
        ("status", request_id),
        ("balances",),
        ("callbacks", "show", number),
        ("callbacks", "list", "--all"),
        ("audit",),
    ):
        command(*arguments)
    assert looks(house) == [(audit.BREAKER, "shortcode_suspended", SHORTCODE)]


def test_the_bytes_of_a_callback_that_matches_nothing_are_looked_at_by_its_number(house: House) -> None:
    record(house, uuid4(), success())
    number = row(house, "SELECT id FROM callbacks")["id"]
    command("callbacks", "show", str(number), "--payload")
    ((_, action, subject),) = looks(house)
    assert (action, subject) == ("payload_shown", f"callback {number}")


@pytest.fixture
def listening(store: redis.Redis) -> Iterator[redis.client.PubSub]:
    with store.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(CHANNEL)
        # The first message says that it listens.
        listener.get_message(timeout=5)
        yield listener


def heard(listening: redis.client.PubSub) -> dict[str, Any]:
    message = listening.get_message(timeout=5)
    assert message is not None
    document: dict[str, Any] = json.loads(message["data"])
    return document


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("payroll", "payroll"),
        (None, audit.UNNAMED_CALLER),
        ("  ", audit.UNNAMED_CALLER),
        (5, audit.UNNAMED_CALLER),
        ("a\x00\ud800", "a\ufffd\ufffd"),
    ],
)
def test_a_caller_that_fetches_an_answer_is_on_record(
    house: House, listening: redis.client.PubSub, given: Any, name: str
) -> None:
    request_id = ask(house, success())
    lookups.answer(house, str(request_id), CHANNEL, given)
    assert AMOUNT in str(heard(listening)["accounts"])
    (found,) = trail(house, action=audit.Action.ANSWER_FETCHED)
    query_id = row(house, "SELECT query_id FROM balance_requests")["query_id"]
    assert told(found) == (name, "answer_fetched", SHORTCODE)
    assert found.detail == f"request {request_id}, query {query_id}"


def test_an_answer_that_cannot_be_recorded_is_not_told(
    house: House, listening: redis.client.PubSub
) -> None:
    request_id = ask(house, success())
    with nothing_can_be_added(house), pytest.raises(psycopg.errors.CheckViolation):
        lookups.answer(house, str(request_id), CHANNEL, "payroll")
    lookups.answer(house, str(uuid4()), CHANNEL)
    assert heard(listening)["state"] is None


def test_a_caller_that_fetches_no_amounts_looks_at_nothing(
    house: House, listening: redis.client.PubSub
) -> None:
    lookups.answer(house, str(uuid4()), CHANNEL, "payroll")
    lookups.answer(house, str(ask(house)), CHANNEL, "payroll")
    assert [heard(listening)["state"] for _ in range(2)] == [None, "pending"]
    assert looks(house) == []


def test_a_reply_with_amounts_is_a_look_by_the_callers_queue(house: House, bell: Bell) -> None:
    ask(house, success(), reply_to=PAYROLL, include_accounts=True)
    assert AMOUNT in str(bell.told)
    assert looks(house) == [("queue:payroll", "reply_sent", SHORTCODE)]


def test_a_reply_without_amounts_is_none(house: House, bell: Bell) -> None:
    ask(house, success(), reply_to=PAYROLL)
    assert len(bell.told) == 1
    assert looks(house) == []


def test_a_reply_that_the_broker_does_not_take_is_a_look_once_it_does(house: House, bell: Bell) -> None:
    bell.refused = {"payroll"}
    ask(house, success(), reply_to=PAYROLL, include_accounts=True)
    assert looks(house) == []
    bell.refused = set()
    rows(house, "UPDATE replies SET next_attempt_at = now() RETURNING id")
    send_due(house)
    assert looks(house) == [("queue:payroll", "reply_sent", SHORTCODE)]


def test_a_reply_that_cannot_be_recorded_is_not_sent(house: House, bell: Bell) -> None:
    with nothing_can_be_added(house), pytest.raises(psycopg.errors.CheckViolation):
        ask(house, success(), reply_to=PAYROLL, include_accounts=True)
    assert bell.told == []
    send_due(house)
    assert len(bell.told) == 1


def test_no_look_holds_an_amount_or_what_was_asked_with_it(house: House, bell: Bell) -> None:
    for arguments in showing(house):
        command(*arguments)
    ask(house, reply_to=PAYROLL, include_accounts=True)
    send_due(house)
    stored = str(rows(house, "SELECT a::text FROM audit a")) + command("audit", "--json").output
    for canary in ("700000", "700,000", "Pa55word", "secret", "Working Account"):
        assert canary not in stored
